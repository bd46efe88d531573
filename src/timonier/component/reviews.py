"""The two reviews behind delegated authentication and authorisation, asked of the API server."""

from __future__ import annotations

from timonier.api.errors import ApiError
from timonier.api.types import authentication_v1, authorization_v1
from timonier.client.client import Client
from timonier.component.answers import Refused
from timonier.component.authenticate import TokenReview, User
from timonier.component.authorise import Access, Review
from timonier.kit.http import HttpError


def token_review(client: Client) -> TokenReview:
    async def review(token: str) -> User | None:
        spec = authentication_v1.TokenReviewSpec(token=token)
        try:
            status = (await client.create(authentication_v1.TokenReview(spec=spec))).status
        except (ApiError, HttpError) as error:
            raise Refused(503, f"the API server could not review the token: {error}") from error
        user = status.user
        if not status.authenticated or user is None:
            return None
        return User(user.username, user.uid, tuple(user.groups),
                    tuple((key, tuple(values)) for key, values in user.extra.items()))

    return review


def access_review(client: Client) -> Review:
    async def review(access: Access) -> bool:
        user = access.user
        spec = authorization_v1.SubjectAccessReviewSpec(
            user=user.name, uid=user.uid, groups=list(user.groups),
            extra={key: list(values) for key, values in user.extra})
        if access.path:
            spec.nonResourceAttributes = authorization_v1.NonResourceAttributes(verb=access.verb, path=access.path)
        else:
            spec.resourceAttributes = authorization_v1.ResourceAttributes(
                verb=access.verb, version="v1", resource=access.resource, subresource=access.subresource,
                name=access.name)
        try:
            return (await client.create(authorization_v1.SubjectAccessReview(spec=spec))).status.allowed
        except (ApiError, HttpError) as error:
            raise Refused(503, f"the API server could not review the access: {error}") from error

    return review

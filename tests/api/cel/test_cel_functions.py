"""Every documented function of the language in Kubernetes, with the documentation's examples: each line is true."""

from __future__ import annotations

import pytest

from timonier.api import cel
from timonier.api.cel.library.authorizer import Authorizer, Decision, Question

TRUE = {
    "arithmetic": """
        1 + 2 * 3 == 7
        7 / -2 == -3
        -7 % 3 == -1
        7u / 2u == 3u
        5.0 / 2.0 == 2.5
        -(3 - 5) == 2
        0x10 == 16
        1 < 1.5 && 2u > 1
        [1, 2] + [3] == [1, 2, 3]
        'a' + 'b' == 'ab'
        b'a' + b'b' == b'ab'
        !false || false
        2 in [1, 2] && !(3 in [1, 2])
        'a' in {'a': 1}
        true ? 1 == 1 : 1 / 0 == 1
        false && 1 / 0 == 1 || true
        1 / 0 == 1 || true
        {'a': 1}.a == 1 && {'a': [1]}['a'][0] == 1
        type(1) == int && type('') == string && type([]) == list && type({}) == map && type(null) == null_type
        type(1u) == uint && type(1.0) == double && type(b'') == bytes && type(type(1)) == type
        dyn(1) == 1.0 && dyn(1u) == 1
        dyn([1]) == [1.0]
        dyn('a') != 1
        has({'a': 1}.a) && !has({'a': 1}.b)
        size('añb') == 3 && 'añb'.size() == 3 && size([1]) == 1 && size({}) == 0 && size(b'a') == 1
    """,
    "strings and their escapes": r"""
        'a\x62\u0063\U00000064\145' == 'abcde'
        '\n\t\"\'\\' == "\n\t\"'\\"
        r'\n' == '\\n'
        '''it's''' == "it's"
        b'\xff' != b'\x00' && size(b'\303\277') == 2
        'hello'.startsWith('he') && 'hello'.endsWith('lo') && 'hello'.contains('ell')
        'foobar'.matches('^fo+b') && matches('foobar', 'r$') && !'x'.matches('y')
    """,
    "conversions": """
        int('-12') == -12 && int(1.9) == 1 && int(-1.9) == -1 && int(3u) == 3
        uint('7') == 7u && uint(7) == 7u && uint(7.9) == 7u
        double('1.5') == 1.5 && double(2) == 2.0 && string(1.5) == '1.5' && string(1e6) == '1e+06'
        string(12) == '12' && string(3u) == '3' && string(true) == 'true' && string(b'a') == 'a'
        bool('true') && !bool('f') && bytes('ab') == b'ab'
        int(timestamp('1970-01-01T00:00:01Z')) == 1 && timestamp(1) == timestamp('1970-01-01T00:00:01Z')
        string(duration('1h2m3.5s')) == '3723.5s'
        string(timestamp('2000-01-01T00:00:00.5Z')) == '2000-01-01T00:00:00.5Z'
    """,
    "moments": """
        duration('1h') + duration('1m') == duration('61m') && duration('1h') - duration('1m') == duration('59m')
        timestamp('2020-01-01T00:00:00Z') + duration('24h') == timestamp('2020-01-02T00:00:00Z')
        timestamp('2020-01-02T00:00:00Z') - timestamp('2020-01-01T00:00:00Z') == duration('24h')
        timestamp('2020-01-01T00:00:00Z') < timestamp('2020-01-01T00:00:00.001Z')
        timestamp('2023-12-25T00:00:00Z').getFullYear() == 2023 && timestamp('2023-12-25T00:00:00Z').getMonth() == 11
        timestamp('2023-12-25T00:00:00Z').getDate() == 25 && timestamp('2023-12-25T00:00:00Z').getDayOfMonth() == 24
        timestamp('2023-12-25T00:00:00Z').getDayOfWeek() == 1 && timestamp('2023-01-02T00:00:00Z').getDayOfYear() == 1
        timestamp('2023-12-25T12:30:40.5Z').getHours() == 12 && timestamp('2023-12-25T12:30:40.5Z').getMinutes() == 30
        timestamp('2023-12-25T12:30:40.5Z').getSeconds() == 40
        timestamp('2023-12-25T12:30:40.5Z').getMilliseconds() == 500
        timestamp('2023-12-25T23:30:00Z').getDate('Europe/Paris') == 26
        timestamp('2023-12-25T12:30:00Z').getHours('-08:00') == 4
        timestamp('2023-12-25T12:30:00Z').getHours('02:00') == 14
        duration('3h5m7.25s').getHours() == 3 && duration('3h5m').getMinutes() == 185
        duration('2m').getSeconds() == 120
        duration('1.5s').getMilliseconds() == 1500
    """,
    "macros": """
        [1, 2].all(x, x > 0) && !([1, 2].all(x, x > 1)) && [].all(x, false)
        [1, 2].exists(x, x == 2) && ![].exists(x, true)
        [1, 2, 2].exists_one(x, x == 1) && !([1, 2, 2].exists_one(x, x == 2)) && [1].existsOne(x, x == 1)
        [1, 2].map(x, x * 2) == [2, 4] && [1, 2, 3].map(x, x > 1, x * 2) == [4, 6]
        [1, 2, 3].filter(x, x % 2 == 1) == [1, 3]
        {'a': 1, 'b': 2}.all(k, k in ['a', 'b']) && {'a': 1}.map(k, k) == ['a']
        [1, 2].map(x, [3, 4].map(y, x * y)) == [[3, 4], [6, 8]]
        [0, 1].exists(x, 1 / x == 1) && ![0, 1].all(x, 1 / x != 1)
        [1, 2].all(i, v, v == i + 1) && {'a': 1}.exists(k, v, k == 'a' && v == 1)
        [5, 6].existsOne(i, v, i == 1 && v == 6)
        [1, 2, 3].transformList(i, v, i * v) == [0, 2, 6] && [1, 2, 3].transformList(i, v, v > 1, i) == [1, 2]
        {'a': 1, 'b': 2}.transformMap(k, v, v + 1) == {'a': 2, 'b': 3}
        {'a': 1, 'b': 2}.transformMap(k, v, v > 1, v) == {'b': 2}
        ['x', 'y'].transformMapEntry(i, v, {v: i}) == {'x': 0, 'y': 1}
        {'greeting': 'aloha'}.transformMapEntry(k, v, {v: k}) == {'aloha': 'greeting'}
    """,
    "optionals": """
        optional.of(1).hasValue() && optional.of(1).value() == 1 && !optional.none().hasValue()
        optional.ofNonZeroValue('') == optional.none() && optional.ofNonZeroValue('a') == optional.of('a')
        {'a': 1}.?a.orValue(0) == 1 && {'a': 1}.?b.orValue(0) == 0 && {'a': {'b': 1}}.?a.b.orValue(0) == 1
        [1, 2][?1].value() == 2 && [1][?3].orValue(7) == 7 && {'a': 1}[?'b'] == optional.none()
        optional.none().or(optional.of(2)).value() == 2 && optional.of(1).or(optional.of(2)).value() == 1
        optional.of(2).optMap(x, x * 2).value() == 4 && optional.none().optMap(x, 1) == optional.none()
        {'a': {'b': 'c'}}.?a.optFlatMap(x, x.?b) == optional.of('c')
        [?optional.none(), ?optional.of(1)] == [1] && {?'a': optional.none(), 'b': 1} == {'b': 1}
        has({'a': {'b': 1}}.?a.b) && !has({'a': {'b': 1}}.?x.b)
        [1, 2].first() == optional.of(1) && [1, 2].last() == optional.of(2) && [].first() == optional.none()
        optional.unwrap([optional.of(1), optional.none()]) == [1] && [optional.of(1)].unwrapOpt() == [1]
    """,
    "extended strings": r"""
        'hello'.charAt(4) == 'o' && 'hello'.charAt(5) == ''
        'hello mellow'.indexOf('') == 0 && 'hello mellow'.indexOf('ello') == 1 && 'hello mellow'.indexOf('jello') == -1
        'hello mellow'.indexOf('ello', 2) == 7 && 'hello mellow'.indexOf('ello', 20) == -1
        'hello mellow'.lastIndexOf('ello') == 7 && 'hello mellow'.lastIndexOf('ello', 6) == 1
        ['hello', 'mellow'].join() == 'hellomellow' && ['hello', 'mellow'].join(' ') == 'hello mellow'
        [].join() == ''
        'TacoCat'.lowerAscii() == 'tacocat' && 'TacoCÆt Xii'.lowerAscii() == 'tacocÆt xii'
        'TacoCat'.upperAscii() == 'TACOCAT'
        'hello hello'.replace('he', 'we') == 'wello wello' && 'hello hello'.replace('he', 'we', 1) == 'wello hello'
        'hello hello'.replace('he', 'we', 0) == 'hello hello' && 'ab'.replace('', '_') == '_a_b_'
        'hello hello hello'.split(' ') == ['hello', 'hello', 'hello'] && 'hello hello hello'.split(' ', 0) == []
        'hello hello hello'.split(' ', 1) == ['hello hello hello']
        'hello hello hello'.split(' ', 2) == ['hello', 'hello hello']
        'hello hello hello'.split(' ', -1) == ['hello', 'hello', 'hello'] && 'abc'.split('') == ['a', 'b', 'c']
        'tacocat'.substring(4) == 'cat' && 'tacocat'.substring(0, 4) == 'taco'
        '  \ttrim\n    '.trim() == 'trim'
        strings.quote('single-quote with "double quote"') == '"single-quote with \\"double quote\\""'
        strings.quote("a\nb") == '"a\\nb"'
        'this is a string: %s\nand an integer: %d'.format(['str', 42]) == 'this is a string: str\nand an integer: 42'
        'a double substituted with %%s: %s'.format([64.2]) == 'a double substituted with %s: 64.2'
        'string type: %s'.format([type(string)]) == 'string type: type'
        'timestamp: %s'.format([timestamp('2023-02-03T23:31:20+00:00')]) == 'timestamp: 2023-02-03T23:31:20Z'
        'duration: %s'.format([duration('1h45m47s')]) == 'duration: 6347s'
        '%s'.format([['abc', 3.14, null, [9, 8], timestamp('2023-02-03T23:31:20Z')]]).startsWith('["abc", 3.14')
        '%s'.format([{'key2': true, 'key1': {}}]) == '{"key1":{}, "key2":true}'
        'true bool: %s, false bool: %b'.format([true, false]) == 'true bool: true, false bool: 0'
        '%d'.format([uint(64)]) == '64' && '%b'.format([5]) == '101' && '%o'.format([11]) == '13'
        '%x is %X'.format([30, 30]) == '1e is 1E' && '%x'.format(['Hello']) == '48656c6c6f'
        '%f'.format([10000.1234]) == '10,000.123400' && '%.3f'.format([2.71828]) == '2.718'
        '%e'.format([1052.032911275]) == '1.052033\u00d710⁰³'
    """,
    "lists": """
        [1, 2, 3].isSorted() && ['a', 'b', 'b', 'c'].isSorted() && !([2.0, 1.0].isSorted()) && [1].isSorted()
        [1, 3].sum() == 4 && [1.0, 3.0].sum() == 4.0 && [duration('1m'), duration('1s')].sum() == duration('1m1s')
        [1, 3].min() == 1 && [1, 3].max() == 3 && ['b', 'a'].max() == 'b'
        [1, 2, 2, 3].indexOf(2) == 1 && ['a', 'b', 'b', 'c'].lastIndexOf('b') == 2 && [1.0].indexOf(1.1) == -1
        [1, 2, 3, 4].slice(1, 3) == [2, 3] && [[1], [2, 3]].flatten() == [1, 2, 3]
        [[[1], [2]], [[3]]].flatten(2) == [1, 2, 3] && [[[1]]].flatten(1) == [[1]]
        [3, 1, 2].sort() == [1, 2, 3] && ['b', 'a'].sort() == ['a', 'b']
        [{'n': 2}, {'n': 1}].sortBy(e, e.n) == [{'n': 1}, {'n': 2}]
        [1, 2, 2, 1].distinct() == [1, 2] && [1, 2].reverse() == [2, 1] && lists.range(3) == [0, 1, 2]
    """,
    "sets": """
        sets.contains([], []) && sets.contains([1, 2, 3, 4], [2, 3]) && !sets.contains([], [1])
        sets.equivalent([1], [1, 1]) && sets.equivalent([1, 2, 3], [3, 2, 1]) && sets.equivalent([], [])
        !sets.intersects([1], []) && sets.intersects([1], [1, 2]) && sets.intersects([[1], [2, 3]], [[1, 2], [2, 3]])
    """,
    "regular expressions": r"""
        'abc 123'.find('[0-9]+') == '123' && 'abc 123'.find('xyz') == ''
        '123 abc 456'.findAll('[0-9]+') == ['123', '456'] && '123 abc 456'.findAll('[0-9]+', 1) == ['123']
        '123 abc 456'.findAll('xyz') == []
    """,
    "URLs": """
        url('https://example.com:80/').getHost() == 'example.com:80' && url('/path').getScheme() == ''
        url('https://[::1]:80/path').getHostname() == '::1' && url('https://example.com:80/').getPort() == '80'
        url('https://example.com/path').getPort() == '' && url('https://example.com/').getScheme() == 'https'
        url('https://example.com/path with spaces/').getEscapedPath() == '/path%20with%20spaces/'
        url('https://example.com/?k1=a&k2=b&k2=c').getQuery() == {'k1': ['a'], 'k2': ['b', 'c']}
        url('https://example.com/path').getQuery() == {}
        isURL('https://user:pass@example.com:80/path?query=val#fragment') && isURL('/absolute-path')
        !isURL('https://a:b:c/') && !isURL('../relative-path')
    """,
    "quantities": """
        isQuantity('1.3G') && isQuantity('1.3Gi') && !isQuantity('1,3G') && isQuantity('10000k') && !isQuantity('Three')
        quantity('500000G').isInteger() && !quantity('50k').add(quantity('0.1')).isInteger()
        quantity('50000000G').asInteger() == 50000000000000000 && quantity('50k').asInteger() == 50000
        sign(quantity('-1')) == -1 && sign(quantity('0')) == 0 && sign(quantity('100M')) == 1
        quantity('1.5').asApproximateFloat() == 1.5
        quantity('200M').compareTo(quantity('0.2G')) == 0 && quantity('50M').compareTo(quantity('50Mi')) == -1
        quantity('150Mi').isGreaterThan(quantity('100Mi')) && quantity('50M').isLessThan(quantity('100M'))
        quantity('50k').add(quantity('20')) == quantity('50.02k') && quantity('50k').add(20).asInteger() == 50020
        quantity('50k').sub(quantity('20')) == quantity('49.98k') && quantity('50k').sub(20).asInteger() == 49980
    """,
    "IP addresses": """
        ip('127.0.0.1').family() == 4 && ip('::1').family() == 6 && isIP('::1') && !isIP('127.0.0.256')
        ip.isCanonical('127.0.0.1') && ip.isCanonical('2001:db8::abcd') && !ip.isCanonical('2001:DB8::ABCD')
        ip('0.0.0.0').isUnspecified() && ip('127.0.0.1').isLoopback() && ip('224.0.0.1').isLinkLocalMulticast()
        ip('169.254.169.254').isLinkLocalUnicast() && ip('192.168.0.1').isGlobalUnicast()
        !ip('::1').isGlobalUnicast()
        string(ip('2001:DB8::1')) == '2001:db8::1' && ip('127.0.0.1') == ip('127.0.0.1') && type(ip('::1')) == net.IP
        !isIP('::ffff:1.2.3.4') && !isIP('fe80::1%eth0')
    """,
    "CIDRs": """
        isCIDR('192.168.0.0/16') && isCIDR('::1/128') && !isCIDR('192.168.0.0/33') && !isCIDR('192.168.0.0')
        cidr('192.168.0.0/24').containsIP(ip('192.168.0.1')) && cidr('192.168.0.0/24').containsIP('192.168.0.1')
        !cidr('192.168.0.0/24').containsIP('192.168.1.1') && cidr('192.168.0.0/16').containsCIDR('192.168.10.0/24')
        cidr('192.168.0.0/16').containsCIDR(cidr('192.168.10.0/24'))
        !cidr('192.168.0.0/16').containsCIDR('192.0.0.0/8')
        cidr('192.168.0.1/24').ip() == ip('192.168.0.1') && cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24')
        cidr('::1/64').prefixLength() == 64 && string(cidr('192.168.0.0/16')) == '192.168.0.0/16'
    """,
    "semantic versions": """
        isSemver('1.0.0') && !isSemver('hello') && !isSemver('v1.0') && isSemver('v1.0', true)
        semver('1.2.3').major() == 1 && semver('1.2.3').minor() == 2 && semver('1.2.3').patch() == 3
        semver('1.2.3').compareTo(semver('1.2.3')) == 0 && semver('1.2.3').isLessThan(semver('2.0.0'))
        semver('1.0.0-alpha').isLessThan(semver('1.0.0'))
        semver('1.0.0-alpha.1').isGreaterThan(semver('1.0.0-alpha'))
        semver('v01.01', true) == semver('1.1.0') && semver('1.0.0+a') == semver('1.0.0+b')
    """,
    "formats": """
        !format.dns1123Label().validate('my-label-name').hasValue() && format.dns1123Label().validate('A').hasValue()
        !format.dns1123Subdomain().validate('apiextensions.k8s.io').hasValue()
        !format.dns1035Label().validate('a').hasValue()
        !format.qualifiedName().validate('apiextensions.k8s.io/v1beta1').hasValue()
        !format.labelValue().validate('v').hasValue()
        !format.dns1123LabelPrefix().validate('my-label-prefix-').hasValue()
        !format.dns1123SubdomainPrefix().validate('a.').hasValue() == false
        !format.uri().validate('http://example.com').hasValue() && format.uri().validate('a').hasValue()
        !format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue()
        format.uuid().validate('x').value() == ['does not match the UUID format']
        !format.byte().validate('aGVsbG8=').hasValue() && format.byte().validate('*').value() == ['invalid base64']
        !format.date().validate('2021-01-01').hasValue()
        !format.datetime().validate('2021-01-01T00:00:00Z').hasValue()
        format.named('dns1123Label').hasValue() && !format.named('unknown').hasValue()
    """,
    "JSON pointers": "jsonpatch.escapeKey('k8s.io/my~key') == 'k8s.io~1my~0key'",
}
LINES = [pytest.param(line.strip(), id=f"{topic}: {line.strip()[:60]}")
         for topic, lines in TRUE.items() for line in lines.strip().splitlines()]


@pytest.mark.parametrize("expression", LINES)
def test_documented_example_is_true(expression: str) -> None:
    assert cel.compile(expression, cel.Environment({}, patches=True))({}) is True


FAILURES = {
    "1 / 0 == 1": "division by zero",
    "1 % 0 == 1": "modulus by zero",
    "9223372036854775807 + 1 == 0": "integer overflow",
    "0u - 1u == 0u": "unsigned integer overflow",
    "-(-9223372036854775807 - 1) == 0": "integer overflow",
    "int(dyn(1.0) * 1e19) == 1": "integer overflow",
    "uint(dyn(-1)) == 1u": "unsigned integer overflow",
    "[1][3] == 1": "index out of bounds: 3",
    "{'a': 1}['b'] == 1": "no such key: b",
    "{'a': 1}.b == 1": "no such key: b",
    "dyn(1) + dyn('a') == 1": "no such overload",
    "dyn(1) && true": "no such overload",
    "optional.none().value() == 1": "optional.none() dereference",
    "[].min() == 1": "min called on empty list",
    "'a'.charAt(2) == ''": "index out of range: 2",
    "'abc'.substring(2, 1) == ''": "invalid substring range. start: 2, end: 1",
    "quantity('x').isInteger()": "quantities must match the regular expression",
    "quantity('1.5').asInteger() == 1": "cannot convert value to integer",
    "ip('1.2.3').family() == 4": 'IP Address "1.2.3" parse error during conversion from string',
    "ip('::ffff:1.2.3.4').family() == 6": 'IPv4-mapped IPv6 address "::ffff:1.2.3.4" is not allowed',
    "url('foo').getHost() == ''":
        'URL parse error during conversion from string: parse "foo": invalid URI for request',
    "'%d'.format(['a']) == ''":
        "error during formatting: decimal clause can only be used on integers, was given string",
    "'%s %s'.format(['a']) == ''": "index 1 out of range",
    "'a'.find(dyn('(')) == ''": "Illegal regex: error parsing regexp: missing closing ): `(`",
    "[1, 2].slice(0, 3) == []": "cannot slice(0, 3), list is length 2",
    "timestamp('2020-01-01T00:00:00Z').getHours('Nowhere/Land') == 0": "unknown time zone Nowhere/Land",
    "[1, 1].transformMapEntry(i, v, {v: i}) == {}": "insert failed: key 1 already exists",
}


@pytest.mark.parametrize(("expression", "message"), FAILURES.items(), ids=FAILURES)
def test_failing_evaluation_says_why(expression: str, message: str) -> None:
    with pytest.raises(cel.Failure) as failure:
        cel.compile(expression, cel.Environment({}))({})
    assert message in str(failure.value)


ASKED = {
    "authorizer.path('/healthz').check('get').allowed()": Question(path="/healthz", verb="get"),
    "authorizer.group('apps').resource('deployments').namespace('test').name('backend').check('create').allowed()":
        Question(group="apps", resource="deployments", namespace="test", name="backend", verb="create"),
    "authorizer.group('').resource('pods').subresource('status').check('get').allowed()":
        Question(resource="pods", subresource="status", verb="get"),
    "authorizer.serviceAccount('default', 'mine').group('').resource('pods').check('get').allowed()":
        Question(resource="pods", verb="get", account=("default", "mine")),
    "authorizer.group('').resource('pods').fieldSelector('spec.nodeName=n').check('list').allowed()":
        Question(resource="pods", field_selector="spec.nodeName=n", verb="list"),
    "authorizer.group('').resource('pods').labelSelector('app=example').check('list').allowed()":
        Question(resource="pods", label_selector="app=example", verb="list"),
    "authorizer.path('/x').check('get').reason() == 'because' && true": Question(path="/x", verb="get"),
    "!authorizer.path('/x').check('get').errored() && authorizer.path('/x').check('get').error() == ''":
        Question(path="/x", verb="get"),
}


@pytest.mark.parametrize(("expression", "question"), ASKED.items(), ids=ASKED)
def test_authorizer_asks_what_the_expression_says(expression: str, question: Question) -> None:
    asked = []

    def decide(question: Question) -> Decision:
        asked.append(question)
        return Decision(True, "because")
    environment = cel.Environment({"authorizer": cel.Declared(Authorizer.cel_type)})
    meter = cel.Meter()
    assert cel.compile(expression, environment)({"authorizer": Authorizer(decide)}, meter) is True
    assert asked[0] == question
    assert meter.spent >= 350_000 * len(asked)


def test_empty_path_or_resource_and_bad_account_are_errors() -> None:
    environment = cel.Environment({"authorizer": cel.Declared(Authorizer.cel_type)})
    for expression, message in (("authorizer.path(' ')", "path must not be empty"),
                                ("authorizer.group('').resource('')", "resource must not be empty"),
                                ("authorizer.serviceAccount('default', 'a@b')", "Invalid service account name"),
                                ("authorizer.serviceAccount('a.b', 'x')", "Invalid service account namespace")):
        with pytest.raises(cel.Failure, match=message):
            cel.compile(expression, environment)({"authorizer": Authorizer(lambda question: Decision(True))})

package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

// transcode answers each line of JSON, an object, with a line `{"protobuf": base64, "json": object}`: the object in
// protobuf, and what its JSON is once it has been protobuf. A line `{"protobuf": base64}` is an object in protobuf, and
// is answered with its JSON alone.
func transcode(in io.Reader, out io.Writer) error {
	codec := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var given struct {
			Protobuf []byte `json:"protobuf"`
		}
		if err := json.Unmarshal(lines.Bytes(), &given); err != nil {
			return err
		}
		message := given.Protobuf
		if message == nil {
			obj, _, err := scheme.Codecs.UniversalDeserializer().Decode(lines.Bytes(), nil, nil)
			if err != nil {
				return fmt.Errorf("%w: %s", err, lines.Bytes())
			}
			var written bytes.Buffer
			if err := codec.Encode(obj, &written); err != nil {
				return err
			}
			message = written.Bytes()
		}
		shown, err := read(codec, message)
		if err != nil {
			return fmt.Errorf("%w: %s", err, lines.Bytes())
		}
		answer, err := json.Marshal(map[string]any{
			"protobuf": base64.StdEncoding.EncodeToString(message), "json": json.RawMessage(shown)})
		if err != nil {
			return err
		}
		fmt.Fprintln(out, string(answer))
	}
	return lines.Err()
}

func read(codec runtime.Decoder, message []byte) ([]byte, error) {
	obj, kind, err := codec.Decode(message, nil, nil)
	if err != nil {
		return nil, err
	}
	obj.GetObjectKind().SetGroupVersionKind(*kind)
	return json.Marshal(obj)
}

// A program on client-go that speaks nothing but protobuf: the stranger whom the API server is tried with.
//
//	client live KUBECONFIG NAMESPACE    lives through the lives of several kinds, and says in JSON what it saw
//	client transcode                    turns objects on standard input from JSON into protobuf and back
package main

import (
	"fmt"
	"os"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == "live":
		err = live(os.Args[2], os.Args[3])
	case len(os.Args) == 2 && os.Args[1] == "transcode":
		err = transcode(os.Stdin, os.Stdout)
	default:
		err = fmt.Errorf("usage: client live KUBECONFIG NAMESPACE | client transcode")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

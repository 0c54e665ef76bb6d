// Encrypts and decrypts a file with sio-go, a streaming format for Go: `sio encrypt|decrypt SOURCE TARGET`.
package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"

	"github.com/secure-io/sio-go"
)

// A key for a benchmark: this is no program to keep anything with.
const key = "0123456789abcdef0123456789abcdef"

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(operation, from, to string) error {
	stream, err := sio.AES_256_GCM.Stream([]byte(key))
	if err != nil {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.Create(to)
	if err != nil {
		return err
	}
	nonce := make([]byte, stream.NonceSize())
	if operation == "encrypt" {
		if _, err = rand.Read(nonce); err != nil {
			return err
		}
		if _, err = target.Write(nonce); err != nil {
			return err
		}
		writer := stream.EncryptWriter(target, nonce, nil)
		if _, err = io.CopyBuffer(writer, plain{source}, make([]byte, 1<<20)); err != nil {
			return err
		}
		return writer.Close()
	}
	if _, err = io.ReadFull(source, nonce); err != nil {
		return err
	}
	writer := stream.DecryptWriter(target, nonce, nil)
	if _, err = io.CopyBuffer(writer, plain{source}, make([]byte, 1<<20)); err != nil {
		return err
	}
	return writer.Close()
}

// Without other methods, so that the buffer above is used.
type plain struct{ io.Reader }

//go:build tools

// Package tools names the programs, so that go.mod holds what they need.
package tools

import (
	_ "sigs.k8s.io/kueue/cmd/kueue"
)

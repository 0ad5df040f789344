//go:build tools

// Package tools names the programs, so that go.mod holds what they need.
package tools

import (
	_ "helm.sh/helm/v4/cmd/helm"
)

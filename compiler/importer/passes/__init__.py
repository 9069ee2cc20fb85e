"""Passes on the float-side network: pure functions `Net -> Net`, one a file."""

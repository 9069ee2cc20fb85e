"""The program file (`.pspkg`) and what it says of its network: inputs, outputs, exits, ends."""

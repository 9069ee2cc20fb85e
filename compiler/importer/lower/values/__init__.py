"""What operands are in integers: scales, shapes, stored values, frames."""

"""What models are measured by, as the papers define it. NumPy alone."""

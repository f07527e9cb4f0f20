"""Turn measured numbers and requirements into a verdict. Measures nothing, calls no model."""

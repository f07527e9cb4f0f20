"""Turn measured numbers and requirements into a verdict and a report page. Measures nothing, calls no model."""

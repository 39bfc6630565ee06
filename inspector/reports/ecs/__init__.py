"""What was analysed as events of the Elastic Common Schema, a JSON object a line."""

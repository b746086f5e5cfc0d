"""What the model may do: typed functions offered as tools."""

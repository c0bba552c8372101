"""The notebook of the accelerator; `pynq get-notebooks` delivers what lies here."""

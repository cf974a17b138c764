"""The watch over new versions, as it runs beside serving: the one place between serving, the gate and the registry."""

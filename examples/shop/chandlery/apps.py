from django.apps import AppConfig


class ChandleryConfig(AppConfig):
    name = "chandlery"
    verbose_name = "Ship's chandler"

"""What servers and the flask command look for (`gunicorn app:app`), and what `python app.py` runs."""

import gc

if __name__ == "__main__":
    gc.disable()  # until `serve` is at work: what a start imports stays, and looking for garbage in it takes long

from phonify import create_app
from phonify.serving import serve

if __name__ == "__main__":
    serve(create_app)
else:
    app = create_app()

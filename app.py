"""What servers and the flask command look for (`gunicorn app:app`), and what `python app.py` runs."""

from phonify import create_app
from phonify.server import serve

if __name__ == "__main__":
    serve(create_app)
else:
    app = create_app()

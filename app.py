"""The app for WSGI servers and the flask command (`gunicorn app:app`). `python app.py` starts the server."""

from phonify import create_app
from phonify.server import serve

if __name__ == "__main__":
    serve(create_app)
else:
    app = create_app()

// The settings for the example of the guide.

const port = process.env.TEST_PORT;

export default {
  testMatch: "example.spec.mjs",
  workers: 2,
  fullyParallel: true,
  repeatEach: 2,
  use: {
    baseURL: `http://127.0.0.1:${port}`,
    launchOptions: { executablePath: process.env.TEST_CHROMIUM, args: ["--no-sandbox"] },
  },
  webServer: { command: `node app.mjs ${port}`, url: `http://127.0.0.1:${port}` },
};

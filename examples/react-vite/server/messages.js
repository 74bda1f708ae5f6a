// The app's own backend: who sends a message is who the token belongs to.

import express from "express";
import { requireUser } from "@usersync/client/express";
import { createUsersyncServer } from "@usersync/client/server";

const { USERSYNC_URL = "http://127.0.0.1:8787", PORT = "3000" } = process.env;
const usersync = createUsersyncServer({ url: USERSYNC_URL });

/** A real app has a table whose `author_id` references `users`. */
const messages = [];

const app = express();
app.use("/messages", requireUser(usersync, { wait: 5 }), express.json());
app.get("/messages", (_, res) => res.json(messages));
app.post("/messages", (req, res) => {
  messages.push({ id: crypto.randomUUID(), authorId: req.user.id, body: String(req.body.body) });
  res.status(201).json(messages);
});
const server = app.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`messages at http://127.0.0.1:${server.address().port}`);
});

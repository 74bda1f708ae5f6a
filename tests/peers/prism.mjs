// Judges requests by an API's description, with Prism. A question is {description, method, url, headers, body}, the answer
// {violations: […]}: what Prism says is wrong with the request, empty if nothing is.
import { createClientFromOperations } from "@stoplight/prism-http/dist/client.js";
import { getHttpOperationsFromSpec } from "@stoplight/prism-http/dist/utils/operations.js";
import { answerLines } from "./lines.mjs";

const clients = new Map();

async function clientOf(description) {
    if (!clients.has(description)) {
        const operations = await getHttpOperationsFromSpec(description);
        const settings = {
            mock: { dynamic: false, ignoreExamples: false },
            checkSecurity: true,
            validateRequest: true,
            validateResponse: true,
            errors: false,
            upstreamProxy: undefined,
            isProxy: false,
        };
        clients.set(description, createClientFromOperations(operations, settings));
    }
    return clients.get(description);
}

await answerLines(async ({ description, method, url, headers, body }) => {
    const client = await clientOf(description);
    try {
        const judged = await client.request(url, { method, headers, body });
        const { input } = judged.violations;
        return { violations: input.map(({ path, message }) => `${(path ?? []).join(".")} ${message}`), status: judged.status };
    } catch (error) {
        return { violations: [`${error.message}: ${error.detail ?? ""}`] };
    }
});

// A page that talks: useRealtime of @ai-sdk/react. `window` shows the check what happens.
import { createOpenAI } from '@ai-sdk/openai';
import { experimental_useRealtime as useRealtime } from '@ai-sdk/react';
import { createRoot } from 'react-dom/client';

const model = createOpenAI({ apiKey: '-' }).experimental_realtime('voicechat-local');
const sessionConfig = { instructions: 'Be brief.', inputAudioTranscription: {}, turnDetection: { type: 'server-vad' } };
const seen = (window.seen = { tools: [], errors: [], counts: {}, protocols: [] });

const Socket = window.WebSocket;
window.WebSocket = class extends Socket {
  constructor(url, protocols) {
    super(url, protocols);
    this.addEventListener('open', () => seen.protocols.push(this.protocol));
  }
};

function Page() {
  window.session = useRealtime({
    model,
    api: { token: '/api/realtime/setup' },
    sessionConfig,
    onToolCall: async ({ toolCall }) => {
      const body = JSON.stringify(toolCall.args);
      const headers = { 'Content-Type': 'application/json' };
      const answer = await fetch(`/tools/${toolCall.toolName}`, { method: 'POST', headers, body });
      const result = await answer.json();
      seen.tools.push([toolCall.toolName, answer.status, result]);
      return result;
    },
    onEvent: (event) => { seen.counts[event.type] = (seen.counts[event.type] ?? 0) + 1; },
    onError: (error) => seen.errors.push(error.message),
  });
  return <pre>{window.session.status}</pre>;
}
createRoot(document.getElementById('root')).render(<Page />);

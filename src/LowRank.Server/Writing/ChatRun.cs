using LowRank.Server.Requests;
using LowRank.Tokenizers;

namespace LowRank.Server.Writing;

/// <summary>A conversation that the engine answers.</summary>
/// <param name="Texts">The answers.</param>
/// <param name="Work">How they are read.</param>
/// <param name="Tokenizer">Read the prompt; it stays when the adapter is unloaded meanwhile.</param>
/// <param name="Tokens">Shows their tokens; null where no log-probabilities were asked for.</param>
internal sealed record ChatRun(TextRun Texts, ChatWork Work, Tokenizer Tokenizer, TokenTexts? Tokens)
    : IAsyncDisposable
{
    /// <summary>Asks for the answers.</summary>
    /// <inheritdoc cref="TextRun.StartAsync"/>
    public static async Task<ChatRun> StartAsync(Call call, ChatAsk ask)
    {
        Tokenizer tokenizer = call.Served.TokenizerOf(ask.Text.Adapter);
        ChatWork work = ChatForm.Of(tokenizer).Write(ask);
        call.LogPrompt(work.Prompt);
        TextRun texts = await TextRun.StartAsync(call, "chat", ask.Text.Model, [work.Request]).ConfigureAwait(false);
        return new ChatRun(texts, work, tokenizer, ask.LogProbs is null ? null : TokenTexts.Of(tokenizer));
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => Texts.DisposeAsync();
}

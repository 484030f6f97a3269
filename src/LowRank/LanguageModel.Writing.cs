using System.Globalization;
using System.Runtime.CompilerServices;
using Builder = System.Text.StringBuilder;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using LowRank.Data;
using LowRank.Data.Chat;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Tokenizers;

namespace LowRank;

/// <summary>A message of a conversation.</summary>
/// <param name="Role">Who speaks: system, user or assistant; a chat template may know others.</param>
/// <param name="Content">What is said.</param>
public sealed record ChatMessage(string Role, string Content);

// Writing texts.
public sealed partial class LanguageModel
{
    /// <summary>Continues a text. The pieces together are what the model writes; a model that turns one text into
    /// another (T5) writes in one piece.</summary>
    /// <remarks>The model writes as fast as it can, and pieces wait for who reads them. Leaving the loop ends the
    /// writing after the current token.</remarks>
    /// <param name="prompt">The text to continue.</param>
    /// <param name="generation">How tokens are chosen; null for the defaults: the likeliest each time, 128 at
    /// most.</param>
    /// <param name="cancellationToken">Ends the writing after the current token.</param>
    /// <exception cref="InputException">The prompt fills the model's context, options are out of range, or the model
    /// writes no texts; when the first piece is asked for.</exception>
    /// <exception cref="NonFiniteException">The model gives no finite numbers.</exception>
    /// <example><code>
    /// var options = new GenerationOptions { Temperature = 0.7, TopP = 0.9 };
    /// await foreach (string piece in model.GenerateAsync("Once upon a time", options)) Console.Write(piece);
    /// </code></example>
    public IAsyncEnumerable<string> GenerateAsync(
        string prompt, GenerationOptions? generation = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        ThrowIfDisposed();
        return Stream((write, token) => Write(prompt, generation ?? new(), write, token), cancellationToken);
    }

    /// <summary>Continues a text, as <see cref="GenerateAsync"/> does.</summary>
    /// <returns>What the model writes, without the prompt.</returns>
    /// <inheritdoc cref="GenerateAsync"/>
    public Task<string> GenerateTextAsync(
        string prompt, GenerationOptions? generation = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        return Whole((write, token) => Write(prompt, generation ?? new(), write, token), cancellationToken);
    }

    /// <summary>Continues several texts together, which takes less time than one after the other.</summary>
    /// <param name="prompts">The texts.</param>
    /// <param name="generation">How tokens are chosen; null for the defaults.</param>
    /// <param name="batchSize">Texts computed together. It changes the speed, not the result.</param>
    /// <param name="cancellationToken">Ends the writing after the current token.</param>
    /// <returns>What the model writes for each, without the prompts, in their order.</returns>
    /// <exception cref="InputException">Prompts fill the model's context, options are out of range, or the model writes
    /// no texts.</exception>
    /// <exception cref="NonFiniteException">The model gives no finite numbers.</exception>
    public Task<IReadOnlyList<string>> GenerateTextsAsync(
        IReadOnlyList<string> prompts, GenerationOptions? generation = null, int batchSize = 16,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batchSize);
        string[] asked = [.. prompts];
        if (Array.IndexOf(asked, null) is >= 0 and var missing)
            throw new ArgumentException($"The prompt at {missing} is null.", nameof(prompts));
        return Do<IReadOnlyList<string>>(
            token => Write(asked, generation ?? new(), batchSize, token), cancellationToken);
    }

    /// <summary>Answers a conversation, written in the model's chat template.</summary>
    /// <param name="messages">The conversation so far; the last message asks. What it has in common with the last one
    /// is not computed again.</param>
    /// <param name="generation">How tokens are chosen; null for the defaults.</param>
    /// <param name="cancellationToken">Ends the reply after the current token.</param>
    /// <exception cref="InputException">The model has no chat template, the template refuses the conversation, or it
    /// leaves no room in the model's context; when the first piece is asked for.</exception>
    /// <example><code>
    /// List&lt;ChatMessage&gt; talk = [new("system", "Answer briefly."), new("user", "What is LoRA?")];
    /// talk.Add(new("assistant", await model.ChatTextAsync(talk)));
    /// </code></example>
    public IAsyncEnumerable<string> ChatAsync(
        IEnumerable<ChatMessage> messages, GenerationOptions? generation = null,
        CancellationToken cancellationToken = default)
    {
        ChatMessage[] said = Said(messages);
        ThrowIfDisposed();
        return Stream((write, token) => Reply(said, generation ?? new(), write, token), cancellationToken);
    }

    /// <summary>Answers a conversation.</summary>
    /// <returns>The assistant's words.</returns>
    /// <inheritdoc cref="ChatAsync"/>
    public Task<string> ChatTextAsync(
        IEnumerable<ChatMessage> messages, GenerationOptions? generation = null,
        CancellationToken cancellationToken = default)
    {
        ChatMessage[] said = Said(messages);
        return Whole((write, token) => Reply(said, generation ?? new(), write, token), cancellationToken);
    }

    // The whole of a text is one piece of work; who reads it slowly, or no further, holds nothing up.
    private async IAsyncEnumerable<string> Stream(
        Action<Action<string>, CancellationToken> work, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var pieces = Channel.CreateUnbounded<string>(new() { SingleReader = true, SingleWriter = true });
        using var reading = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task writing = WriteInto(pieces.Writer, work, reading.Token);
        try
        {
            await foreach (string piece in pieces.Reader.ReadAllAsync(cancellation).ConfigureAwait(false))
                yield return piece;
            await writing.ConfigureAwait(false); // says what went wrong
        }
        finally
        {
            await reading.CancelAsync().ConfigureAwait(false);
            await writing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task WriteInto(
        ChannelWriter<string> pieces, Action<Action<string>, CancellationToken> work, CancellationToken cancellation)
    {
        try
        {
            await Do(token =>
            {
                work(piece => pieces.TryWrite(piece), token);
                return true;
            }, cancellation).ConfigureAwait(false);
        }
        finally
        {
            pieces.Complete();
        }
    }

    private Task<string> Whole(Action<Action<string>, CancellationToken> work, CancellationToken cancellation) =>
        Do(token =>
        {
            var text = new Builder();
            work(piece => text.Append(piece), token);
            return text.ToString();
        }, cancellation);

    private void Write(string prompt, GenerationOptions given, Action<string> write, CancellationToken cancellation)
    {
        OpenedModel opened = bases.UseWhole(adapter);
        if (Transforming(opened) is { } task)
        {
            write(Transform(task, [prompt], given, 1, cancellation).Single());
            return;
        }
        var generator = new TextGenerator(opened.RequireDecoder("Continuing a text"));
        int[] ids = Encode(opened, generator, [prompt])[0];
        Decode(opened.RequireTokenizer(), given, write, add =>
            generator.GenerateUntil([ids], Stopping(given, opened), (_, token) => add(token), cancellation,
                constraint: opened.Compile(given.Constraint)));
        cancellation.ThrowIfCancellationRequested();
        Warn(generator.Notes);
    }

    private List<string> Write(
        string[] prompts, GenerationOptions given, int batchSize, CancellationToken cancellation)
    {
        OpenedModel opened = bases.UseWhole(adapter);
        if (Transforming(opened) is { } task) return Transform(task, prompts, given, batchSize, cancellation);
        var generator = new TextGenerator(opened.RequireDecoder("Continuing texts"));
        Tokenizer tokenizer = opened.RequireTokenizer();
        GenerationOptions settings = Stopping(given, opened);
        List<string> texts = [];
        foreach (int[][] batch in Encode(opened, generator, prompts).Chunk(batchSize))
        {
            (TextAssembler Assembler, Builder Text)[] rows = [.. batch.Select(_ =>
                (new TextAssembler(tokenizer.CreateStreamingDecoder(), given.StopStrings), new Builder()))];
            generator.GenerateUntil(batch, settings, (row, token) =>
            {
                rows[row].Text.Append(rows[row].Assembler.Add(token));
                return rows[row].Assembler.IsStopped;
            }, cancellation, texts.Count, opened.Compile(given.Constraint));
            cancellation.ThrowIfCancellationRequested();
            texts.AddRange(rows.Select(row => row.Text.Append(row.Assembler.End()).ToString()));
        }
        Warn(generator.Notes);
        return texts;
    }

    // A model that turns one text into another writes by its task.
    private static IGeneratingTask? Transforming(OpenedModel opened) =>
        opened.Model.Network is Decoder ? null : opened.Start() as IGeneratingTask;

    private List<string> Transform(IGeneratingTask task, IReadOnlyList<string> prompts, GenerationOptions given,
        int batchSize, CancellationToken cancellation)
    {
        Validate(given);
        if (given.Constraint is not null)
            throw new InputException(Words.Of(
                $"{KnownSettings.Constraint} needs a model that continues its prompt token by token; this one turns " +
                $"a text into another."));
        Row[] rows = [.. prompts.Select((prompt, number) => new Row(
            new DataPlace("prompts", number + 1) { IsRow = true }, new JsonObject { ["prompt"] = prompt }))];
        List<string> texts = [.. task.Generate(rows, batchSize, given, cancellation).Select(text =>
            text[..given.StopStrings.Select(stop => text.IndexOf(stop, StringComparison.Ordinal))
                .Where(at => at >= 0).Append(text.Length).Min()])];
        Tell(task.GenerationNotes, null);
        return texts;
    }

    private void Reply(
        ChatMessage[] messages, GenerationOptions given, Action<string> write, CancellationToken cancellation)
    {
        OpenedModel opened = bases.UseWhole(adapter);
        var generator = new TextGenerator(opened.RequireDecoder("A conversation"));
        Tokenizer tokenizer = opened.RequireTokenizer();
        IChatFormat format = ChatFormats.ForTalking(tokenizer);
        JsonArray said = [.. messages.Select(message => ChatFormats.Message(message.Role, message.Content))];
        int[] ids = ChatFormats.Prompt(format, tokenizer, said, tools: null);
        if (generator.Room(ids) == 0) throw NoRoom("The conversation", ids);
        GenerationOptions settings = Stopping(given, opened);
        if (ChatFormats.EndOfTurn(format, tokenizer) is { } end)
            settings = settings with { StopTokenIds = [.. settings.StopTokenIds, end] };
        PrefixCache kept = bases.Conversation(opened);
        try
        {
            Decode(tokenizer, given, write, add =>
                generator.Continue(ids, settings, kept, add, opened.Compile(given.Constraint), cancellation));
        }
        catch
        {
            bases.Forget();
            throw;
        }
        cancellation.ThrowIfCancellationRequested();
        Warn(generator.Notes);
    }

    private void Warn(IReadOnlyList<string> notes)
    {
        foreach (string note in notes) options.Logger.ModelWarning(note);
    }

    private static ChatMessage[] Said(IEnumerable<ChatMessage> messages)
    {
        ArgumentNullException.ThrowIfNull(messages);
        ChatMessage[] said = [.. messages];
        if (said.Length == 0)
            throw new ArgumentException("There is no message; expected one at least, which asks.", nameof(messages));
        int wrong = Array.FindIndex(said, message => message is not { Role.Length: > 0, Content: not null });
        if (wrong >= 0)
            throw new ArgumentException(
                $"The message at {wrong} has no role or no content; expected both.", nameof(messages));
        return said;
    }

    // A token that is added may end the text.
    private static void Decode(
        Tokenizer tokenizer, GenerationOptions given, Action<string> write, Action<Func<int, bool>> generate)
    {
        var assembler = new TextAssembler(tokenizer.CreateStreamingDecoder(), given.StopStrings);
        void Hear(string piece)
        {
            if (piece.Length > 0) write(piece);
        }
        generate(token =>
        {
            Hear(assembler.Add(token));
            return assembler.IsStopped;
        });
        Hear(assembler.End());
    }

    private static int[][] Encode(OpenedModel opened, TextGenerator generator, IReadOnlyList<string> prompts)
    {
        Tokenizer tokenizer = opened.RequireTokenizer();
        int[][] all = [.. prompts.Select(prompt => PromptEncoding.Prompt(tokenizer, prompt))
            .Select(ids => ids.Length == 0 && opened.Model.Generation.BosTokenId is { } begin ? [begin] : ids)];
        InputException[] full = [.. all.Index().Where(prompt => prompt.Item.Length > 0
            && generator.Room(prompt.Item) == 0).Select(prompt =>
            NoRoom(all.Length == 1 ? "The prompt" : $"Prompt {prompt.Index + 1}", prompt.Item))];
        return full.Length switch
        {
            0 => all,
            1 => throw full[0],
            _ => throw new InputException("The prompts cannot be continued:", [.. full.Select(one => one.Message)]),
        };
    }

    private static InputException NoRoom(string what, int[] ids) => new(
        $"{what} has {ids.Length} tokens and fills the model's context, which has to hold what follows, too. " +
        "Shorten it.");

    private static GenerationOptions Stopping(GenerationOptions given, OpenedModel opened)
    {
        Validate(given);
        return given with { StopTokenIds = [.. given.StopTokenIds.Concat(opened.StopTokens).Distinct()] };
    }

    private static void Validate(GenerationOptions given)
    {
        OptionProblems problems = new(nameof(GenerationOptions));
        problems.Require(nameof(given.StopTokenIds), given.StopTokenIds);
        int below = given.StopTokenIds?.FirstOrDefault(id => id < 0) ?? 0;
        problems.AddIf(below < 0, nameof(given.StopTokenIds),
            string.Create(CultureInfo.InvariantCulture, $"has {below}, expected ids of at least 0."));
        problems.ThrowIfAny();
        given.Validate();
    }
}

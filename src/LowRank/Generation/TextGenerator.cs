using LowRank.Kernels;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Generation;

/// <summary>Continues prompts token by token with a key-value cache.</summary>
/// <param name="model">The model, with its adapters attached.</param>
public sealed class TextGenerator(Decoder model)
{
    // Of a batch: a copy of the others' keys and values costs less than these rows in the steps that follow.
    private const int FinishedShare = 4;

    private long filled, full;

    /// <summary>Notes about texts that reached the end of the model's context so far, one sentence each.</summary>
    public IReadOnlyList<string> Notes
    {
        get
        {
            string context = $"the model's context holds {model.Shape.ContextLength} tokens, including the prompt";
            List<string> notes = [];
            if (filled > 0)
                notes.Add($"{(filled == 1 ? "1 text was" : $"{filled} texts were")} ended early: {context}.");
            if (full > 0)
                notes.Add(
                    $"{(full == 1 ? "1 prompt leaves" : $"{full} prompts leave")} no room for a text: {context}. " +
                    $"Shorten {(full == 1 ? "it" : "them")}.");
            return notes;
        }
    }

    /// <summary>Maximum number of tokens that can follow a prompt in the model's context; 0 for none.</summary>
    public int Room(int[] prompt) =>
        Math.Max(0, model.Shape.ContextLength - (model.Prompt?.Length ?? 0) - prompt.Length);

    /// <summary>Continues several prompts together. On a processor a text's logits are those that it has alone, to the
    /// last bit; elsewhere, shorter prompts are padded, which changes nothing but rounding.</summary>
    /// <param name="prompts">The token ids of each prompt, at least one token each.</param>
    /// <param name="options">How to choose tokens. A row ends earlier if it fills the model's context (<see
    /// cref="Room"/>).</param>
    /// <param name="onToken">Called with the row and each new token.</param>
    /// <param name="cancellation">Stops after the current token.</param>
    /// <returns>The new tokens of each row, without the stop token.</returns>
    /// <exception cref="InputException">A prompt is empty or names a token outside the vocabulary, or the options are
    /// out of range.</exception>
    /// <exception cref="NonFiniteException">The model's logits are not finite.</exception>
    public IReadOnlyList<IReadOnlyList<int>> Generate(
        IReadOnlyList<int[]> prompts, GenerationOptions options, Action<int, int>? onToken = null,
            CancellationToken cancellation = default)
    {
        if (options.StopStrings.Count > 0 || options.Constraint is not null)
            throw new InputException(Words.Of(
                $"{(options.Constraint is null ? KnownSettings.StopStrings : KnownSettings.Constraint)} need texts, " +
                $"and here are tokens alone. Write with a LanguageModel."));
        return GenerateUntil(prompts, options, (row, token) =>
        {
            onToken?.Invoke(row, token);
            return false;
        }, cancellation);
    }

    /// <summary>As <see cref="Generate"/>, with rows that end where their caller says.</summary>
    /// <param name="prompts">The prompts.</param>
    /// <param name="options">How to choose tokens; stop strings are the caller's to find.</param>
    /// <param name="ends">Called with the row and each new token; whether the row ends with it.</param>
    /// <param name="cancellation">Stops after the current token.</param>
    /// <param name="first">The number of the first prompt, where the prompts are a part of more with the same seed:
    /// each text has its own random numbers.</param>
    /// <param name="constraint">The options' constraint for the model's tokens.</param>
    internal IReadOnlyList<IReadOnlyList<int>> GenerateUntil(
        IReadOnlyList<int[]> prompts, GenerationOptions options, Func<int, int, bool> ends,
        CancellationToken cancellation, int first = 0, TokenConstraint? constraint = null)
    {
        options.Validate();
        Check(prompts);
        var sampler = new Sampler(options, prompts, first, constraint);
        var writing = new Writing(prompts, [.. prompts.Select(Room)], options,
            (row, token) => ends(row, token) || sampler.MustEnd(row));
        using var noGradient = no_grad();
        // If the longest row has filled the context, it and the finished rows are removed from the others, which still
        // have room.
        while (writing.Open() is { Length: > 0 } rows && !cancellation.IsCancellationRequested)
        {
            int longest = rows.Max(row => writing.Text(row).Length);
            long capacity = Math.Min((long)longest + options.MaxNewTokens, int.MaxValue);
            // A text must not turn another's positions.
            if (capacity > model.Shape.Rope?.DependsOnLengthBeyond) rows = rows[..1];
            int[][] texts = [.. rows.Select(row => writing.Text(row))];
            using var cache = new KeyValueCache(model.Shape, rows.Length, (int)capacity, model.Device);
            Extend(writing, rows, cache, Begin(texts, cache), sampler, null, cancellation);
        }
        Count(writing);
        return writing.Results;
    }

    /// <summary>Continues one prompt, computing only what differs from the previous text.</summary>
    /// <param name="prompt">Token ids; at least one.</param>
    /// <param name="options">As in <see cref="Generate"/>.</param>
    /// <param name="kept">The cache of this model's earlier prompts; this prompt and its continuation are
    /// added.</param>
    /// <param name="ends">Called with each new token; whether the text ends with it. Null for never.</param>
    /// <param name="constraint">The options' constraint for the model's tokens.</param>
    /// <param name="cancellation">Stops after the current token.</param>
    /// <returns>The new tokens, without the stop token, as from <see cref="Generate"/>.</returns>
    /// <exception cref="InputException">As in <see cref="Generate"/>.</exception>
    internal IReadOnlyList<int> Continue(
        int[] prompt, GenerationOptions options, PrefixCache kept, Func<int, bool>? ends = null,
            TokenConstraint? constraint = null, CancellationToken cancellation = default)
    {
        options.Validate();
        Check([prompt]);
        var sampler = new Sampler(options, [prompt], constraint: constraint);
        var writing = new Writing([prompt], [Room(prompt)], options,
            (_, token) => ends?.Invoke(token) == true || sampler.MustEnd(0));
        if (writing.Open().Length > 0)
        {
            using var noGradient = no_grad();
            KeyValueCache cache = kept.Prepare(model, prompt);
            int[] rest = prompt[kept.Reused..];
            Tensor last = Prefill([rest], rest.Length, cache);
            kept.Add(rest);
            Extend(writing, [0], cache, last, sampler, tokens => kept.Add([(int)tokens[0]]), cancellation);
        }
        Count(writing);
        return writing.Results[0];
    }

    // Takes ownership of the logits of the last position, [rows, vocabulary size]. Also ends when the longest text has
    // filled the context.
    private void Extend(Writing writing, int[] rows, KeyValueCache cache, Tensor last, Sampler sampler,
        Action<long[]>? onCached, CancellationToken cancellation)
    {
        // also for finished rows, which continue beside the others for a while
        List<int>[] texts = [.. rows.Select(row => writing.Text(row).ToList())];
        int longest = model.Shape.ContextLength - (model.Prompt?.Length ?? 0);
        bool rowsMayLeave = model.TokenEmbedding.Slot.Rows is null;
        while (true)
        {
            long[] chosen;
            using (last) chosen = sampler.Choose(last, rows, () => NoFiniteLogits(texts));
            writing.Add(rows, chosen);
            if (!writing.IsOpen(rows) || cache.Length >= longest || cancellation.IsCancellationRequested) return;
            if (rowsMayLeave && Unfinished(writing, rows) is { } left)
            {
                cache.KeepRows(left);
                (rows, texts, chosen) = ([.. left.Select(i => rows[i])], [.. left.Select(i => texts[i])],
                    [.. left.Select(i => chosen[i])]);
            }
            for (int row = 0; row < chosen.Length; row++) texts[row].Add((int)chosen[row]);
            last = cache.Length == model.Shape.Rope?.TurnsAnewBeyond ? ComputeAnew(texts, cache) : Step(chosen, cache);
            onCached?.Invoke(chosen);
        }
    }

    // Indices into the rows; null while too few of them are finished.
    private static int[]? Unfinished(Writing writing, int[] rows)
    {
        int[] left = [.. Enumerable.Range(0, rows.Length).Where(i => writing.IsOpen(rows[i]))];
        return (rows.Length - left.Length) * FinishedShare >= rows.Length ? left : null;
    }

    private void Count(Writing writing)
    {
        filled += writing.Filled;
        full += writing.Full;
    }

    private NonFiniteException NoFiniteLogits(List<int>[] texts) =>
        FiniteOutput.Failure(model, "The model gives no finite logits, and no token can be chosen", () =>
        Prefill([.. texts.Select(text => text.ToArray())], texts.Max(text => text.Count), cache: null).Dispose());

    // Logits of the last position of each text, [rows, vocabulary size], which fill an empty cache.
    private Tensor Begin(IReadOnlyList<int[]> texts, KeyValueCache cache)
    {
        // On other devices torch multiplies, and nothing is promised about its last bits.
        if (model.Device.type != DeviceType.CPU || KernelForm.IsPlain)
            return Prefill(texts, texts.Max(text => text.Length), cache);
        using var scope = NewDisposeScope();
        return model.Logits(model.Prefill(texts, cache)).DetachFromDisposeScope();
    }

    private Tensor Prefill(IReadOnlyList<int[]> prompts, int longest, KeyValueCache? cache)
    {
        using var scope = NewDisposeScope();
        var ids = new long[prompts.Count * longest];
        var mask = new long[ids.Length];
        for (int row = 0; row < prompts.Count; row++)
            for (int i = 0; i < prompts[row].Length; i++)
            {
                int at = row * longest + longest - prompts[row].Length + i;
                (ids[at], mask[at]) = (prompts[row][i], 1);
            }
        Tensor Rows(long[] values) =>
            tensor(values, dtype: ScalarType.Int64, device: model.Device).view(prompts.Count, longest);
        bool padded = mask.Contains(0);
        Tensor hidden = model.Hidden(Rows(ids), padded ? Rows(mask) : null, cache);
        return model.Logits(hidden.select(1, longest - 1)).DetachFromDisposeScope();
    }

    // LongRoPE uses other rotation angles from this length on, so earlier keys are invalid.
    private Tensor ComputeAnew(List<int>[] texts, KeyValueCache cache)
    {
        cache.Clear();
        return Begin([.. texts.Select(text => text.ToArray())], cache);
    }

    private Tensor Step(long[] tokens, KeyValueCache cache)
    {
        using var scope = NewDisposeScope();
        Tensor input = tensor(tokens, dtype: ScalarType.Int64, device: model.Device).view(-1, 1);
        return model.Logits(model.Hidden(input, null, cache).select(1, 0)).DetachFromDisposeScope();
    }

    private void Check(IReadOnlyList<int[]> prompts)
    {
        for (int row = 0; row < prompts.Count; row++)
        {
            if (prompts[row].Length == 0)
                throw new InputException(
                    $"Prompt {row + 1} has no tokens. Expected at least one: use a text, or a beginning-of-text " +
                    "token.");
            int wrong = Array.FindIndex(prompts[row], id => id < 0 || id >= model.Shape.VocabularySize);
            if (wrong >= 0)
                throw new InputException(
                    $"Prompt {row + 1} has token {prompts[row][wrong]} at position {wrong}; the model's vocabulary " +
                    $"has {model.Shape.VocabularySize} tokens. Check that the tokenizer belongs to the model.");
        }
    }
}

/// <summary>How to choose tokens and when to stop.</summary>
public sealed record GenerationOptions
{
    /// <summary>Maximum number of new tokens per prompt.</summary>
    public int MaxNewTokens { get; init; } = 128;

    /// <summary>Divisor of the logits; 0 always takes the most likely token (greedy).</summary>
    public double Temperature { get; init; }

    /// <summary>Samples only from this many most likely tokens; 0 for all (arXiv 1805.04833).</summary>
    public int TopK { get; init; }

    /// <summary>Samples from the most likely tokens whose probabilities add up to this value; 1 for all (arXiv
    /// 1904.09751).</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Samples only from tokens at least this share as likely as the likeliest; 0 for all (arXiv
    /// 2407.01082).</summary>
    public double MinP { get; init; }

    /// <summary>Divides positive logits of tokens that the text and its prompt have, and multiplies negative ones; 1
    /// changes nothing (arXiv 1909.05858, section 4.1).</summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Subtracted from a token's logit for each time that it was written, -2 to 2; 0 for none.</summary>
    public double FrequencyPenalty { get; init; }

    /// <summary>Subtracted from the logits of tokens that were written, -2 to 2; 0 for none.</summary>
    public double PresencePenalty { get; init; }

    /// <summary>Added to the logits of these tokens, -100 to 100.</summary>
    public IReadOnlyDictionary<int, double> LogitBias { get; init; } = System.Collections.Frozen
        .FrozenDictionary<int, double>.Empty;

    /// <summary>Random seed for sampling: with the same one, a prompt is continued alike, alone or beside
    /// others.</summary>
    public long Seed { get; init; } = 42;

    /// <summary>Tokens that end a row; they are not part of the result.</summary>
    public IReadOnlyList<int> StopTokenIds { get; init; } = [];

    /// <summary>Texts that end the text; they are not part of it.</summary>
    public IReadOnlyList<string> StopStrings { get; init; } = [];

    /// <summary>What the text has to be, such as JSON of a schema; null for anything. Tokens that cannot lead to it are
    /// never chosen, and tokens that end a text only where it is complete; a text that ends for its length, or with a
    /// stop string, may be a beginning of it.</summary>
    public TextConstraint? Constraint { get; init; }

    /// <summary>Checks the ranges.</summary>
    /// <exception cref="InputException">Some values are out of range; lists all of them.</exception>
    public void Validate()
    {
        var problems = new List<Problem>();
        void Require(bool holds, Setting setting, object found, string expected)
        {
            if (!holds) problems.Add(Problem.Of(setting, found, expected) with { Code = ProblemCodes.WrongValue });
        }
        Require(MaxNewTokens >= 1, KnownSettings.MaxNewTokens, MaxNewTokens, "at least 1");
        Require(Temperature >= 0 && double.IsFinite(Temperature), KnownSettings.Temperature, Temperature,
            "0 (greedy) or more");
        Require(TopK >= 0, KnownSettings.TopK, TopK, "0 (all tokens) or more");
        Require(TopP is > 0 and <= 1, KnownSettings.TopP, TopP, "above 0 and at most 1 (all tokens)");
        Require(MinP is >= 0 and <= 1, KnownSettings.MinP, MinP, "0 (all tokens) to 1");
        Require(RepetitionPenalty > 0 && double.IsFinite(RepetitionPenalty), KnownSettings.RepetitionPenalty,
            RepetitionPenalty, "above 0; 1 changes nothing");
        Require(FrequencyPenalty is >= -2 and <= 2, KnownSettings.FrequencyPenalty, FrequencyPenalty, "-2 to 2");
        Require(PresencePenalty is >= -2 and <= 2, KnownSettings.PresencePenalty, PresencePenalty, "-2 to 2");
        foreach ((int token, double bias) in LogitBias.Where(
            one => one.Key < 0 || one.Value is not (>= -100 and <= 100)).Take(3))
            Require(false, KnownSettings.LogitBias, $"{bias} for token {token}", "-100 to 100 for ids of tokens");
        if (Temperature == 0 && (TopK != 0 || TopP != 1 || MinP != 0))
            problems.Add(new Problem(Words.Of(
                $"{KnownSettings.TopK}, {KnownSettings.TopP} and {KnownSettings.MinP} need " +
                $"{KnownSettings.Temperature} to be above 0: greedy decoding always takes the most likely token")));
        if (StopStrings.Any(string.IsNullOrEmpty))
            problems.Add(new Problem(Words.Of(
                $"{KnownSettings.StopStrings} have an empty one, which would end every text")));
        if (StopStrings.Any(HasHalfCharacter))
            problems.Add(new Problem(Words.Of(
                $"{KnownSettings.StopStrings} have one with half of a surrogate pair, which is no character: " +
                $"give the whole character, or leave it out")));
        if (problems.Count > 0) throw new InputException("The generation settings cannot be used:", problems);
    }

    private static bool HasHalfCharacter(string text)
    {
        for (int i = 0; i < text?.Length; i++)
            if (char.IsSurrogate(text[i]) && (i + 1 == text.Length || !char.IsSurrogatePair(text[i], text[++i])))
                return true;
        return false;
    }
}

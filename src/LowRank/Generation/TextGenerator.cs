using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Generation;

/// <summary>Continues prompts token by token with a key-value cache.</summary>
/// <param name="model">The model, with its adapters attached.</param>
public sealed class TextGenerator(Decoder model)
{
    /// <summary>Continues several prompts together; shorter ones are padded on the left, which changes no result.</summary>
    /// <param name="prompts">Token ids of each prompt; at least one token each.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="onToken">Called with the row and each new token as it is made.</param>
    /// <param name="cancellation">Stops after the current token.</param>
    /// <returns>The new tokens of each row, without the stop token.</returns>
    /// <exception cref="InputException">A prompt is empty or names a token outside the vocabulary, or the options are out
    /// of range.</exception>
    public IReadOnlyList<IReadOnlyList<int>> Generate(
        IReadOnlyList<int[]> prompts, GenerationOptions options, Action<int, int>? onToken = null, CancellationToken cancellation = default)
    {
        options.Validate();
        Check(prompts);
        var results = prompts.Select(_ => new List<int>()).ToList();
        if (prompts.Count == 0) return results;
        int longest = prompts.Max(prompt => prompt.Length);
        using var noGradient = no_grad();
        using var cache = new KeyValueCache(model.Shape, prompts.Count, longest + options.MaxNewTokens, model.Device);
        Extend(prompts, results, cache, Prefill(prompts, longest, cache), options, onToken, null, cancellation);
        return results;
    }

    /// <summary>Continues one prompt, computing only what differs from the text before it.</summary>
    /// <param name="prompt">Token ids; at least one.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="kept">Holds what this model computed for earlier prompts; gains this prompt and what follows it.</param>
    /// <param name="onToken">Called with each new token as it is made.</param>
    /// <param name="cancellation">Stops after the current token.</param>
    /// <returns>The new tokens, without the stop token: those of <see cref="Generate"/>.</returns>
    /// <exception cref="InputException">As in <see cref="Generate"/>.</exception>
    public IReadOnlyList<int> Continue(
        int[] prompt, GenerationOptions options, PrefixCache kept, Action<int>? onToken = null, CancellationToken cancellation = default)
    {
        options.Validate();
        Check([prompt]);
        using var noGradient = no_grad();
        KeyValueCache cache = kept.Prepare(model, prompt, options.MaxNewTokens);
        int[] rest = prompt[kept.Reused..];
        Tensor last = Prefill([rest], rest.Length, cache);
        kept.Add(rest);
        List<int> result = [];
        Extend([prompt], [result], cache, last, options, (_, token) => onToken?.Invoke(token), tokens => kept.Add([(int)tokens[0]]), cancellation);
        return result;
    }

    // Takes over the logits of the last position, [rows, vocabulary size].
    private void Extend(IReadOnlyList<int[]> prompts, IReadOnlyList<List<int>> results, KeyValueCache cache, Tensor last, GenerationOptions options,
        Action<int, int>? onToken, Action<long[]>? onCached, CancellationToken cancellation)
    {
        var stops = options.StopTokenIds.ToHashSet();
        var open = new bool[results.Count];
        Array.Fill(open, true);
        List<int>[] texts = [.. prompts.Select(prompt => prompt.ToList())];
        using var sampler = new Sampler(options);
        for (int made = 0; ; )
        {
            long[] chosen;
            using (last) chosen = sampler.Choose(last);
            for (int row = 0; row < chosen.Length; row++)
            {
                if (!open[row]) continue;
                open[row] = !stops.Contains((int)chosen[row]);
                if (!open[row]) continue;
                results[row].Add((int)chosen[row]);
                onToken?.Invoke(row, (int)chosen[row]);
            }
            if (++made == options.MaxNewTokens || !open.Contains(true) || cancellation.IsCancellationRequested) return;
            for (int row = 0; row < chosen.Length; row++) texts[row].Add((int)chosen[row]);
            last = cache.Length == model.Shape.Rope?.TurnsAnewBeyond ? ComputeAnew(texts, cache) : Step(chosen, cache);
            onCached?.Invoke(chosen);
        }
    }

    private Tensor Prefill(IReadOnlyList<int[]> prompts, int longest, KeyValueCache cache)
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
        Tensor Rows(long[] values) => tensor(values, dtype: ScalarType.Int64, device: model.Device).view(prompts.Count, longest);
        bool padded = mask.Contains(0);
        Tensor hidden = model.Hidden(Rows(ids), padded ? Rows(mask) : null, cache);
        return model.Logits(hidden.select(1, longest - 1)).DetachFromDisposeScope();
    }

    // LongRoPE turns every position by other angles from this length on: nothing that was computed before fits.
    private Tensor ComputeAnew(List<int>[] texts, KeyValueCache cache)
    {
        cache.Clear();
        return Prefill([.. texts.Select(text => text.ToArray())], texts.Max(text => text.Count), cache);
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
                throw new InputException($"Prompt {row + 1} has no tokens. Expected at least one: give a text, or a beginning-of-text token.");
            int wrong = Array.FindIndex(prompts[row], id => id < 0 || id >= model.Shape.VocabularySize);
            if (wrong >= 0)
                throw new InputException($"Prompt {row + 1} has token {prompts[row][wrong]} at position {wrong}; the model's vocabulary " +
                    $"has {model.Shape.VocabularySize} tokens. Check that the tokenizer belongs to the model.");
        }
    }
}

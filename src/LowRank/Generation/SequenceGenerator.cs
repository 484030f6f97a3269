using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Generation;

/// <summary>Generates target texts from source texts token by token, with a key-value cache.</summary>
/// <param name="model">The model, with its adapters attached.</param>
/// <param name="paddingId">The padding id for shorter sources.</param>
internal sealed class SequenceGenerator(EncoderDecoder model, int paddingId = 0)
{
    /// <summary>Generates for several sources together; shorter ones are padded, which does not change the
    /// results.</summary>
    /// <param name="sources">The token ids of each source, at least one token each.</param>
    /// <param name="options">How to choose tokens.</param>
    /// <param name="cancellation">Stops after the current token.</param>
    /// <returns>The tokens of each target, without start and stop tokens.</returns>
    /// <exception cref="InputException">A source is empty or names a token outside the vocabulary, or the options are
    /// out of range.</exception>
    /// <exception cref="NonFiniteException">The model's logits are not finite.</exception>
    public IReadOnlyList<IReadOnlyList<int>> Generate(
        IReadOnlyList<int[]> sources, GenerationOptions options, CancellationToken cancellation = default)
    {
        options.Validate();
        if (sources.Count == 0) return [];
        for (int row = 0; row < sources.Count; row++)
            if (sources[row].Length == 0 || sources[row].Any(id => id < 0 || id >= model.VocabularySize))
                throw new InputException(
                    $"Source {row + 1} has no tokens, or one outside the vocabulary of {model.VocabularySize}. " +
                    "Check that the tokenizer belongs to the model.");
        var results = sources.Select(_ => new List<int>()).ToList();
        var stops = options.StopTokenIds.ToHashSet();
        int[] rows = [.. Enumerable.Range(0, sources.Count)];
        bool[] open = [.. sources.Select(_ => true)];
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var sampler = new Sampler(options, sources);
        using SourceStates source = model.EncodeSource(Input(sources));
        using KeyValueCache cache = model.NewCache(sources.Count, options.MaxNewTokens);
        long[] tokens = [.. sources.Select(_ => (long)model.Shape.StartTokenId)];
        var read = new List<long[]>(); // by the decoder
        NonFiniteException NoFiniteLogits() =>
            FiniteOutput.Failure(model, "The model gives no finite logits, and no token can be chosen", () =>
            model.Forward(
                Input(sources),
                tensor(read.SelectMany(step => step).ToArray(), dtype: ScalarType.Int64, device: model.Device).view(
                    read.Count, -1).t()));
        for (int made = 0; made < options.MaxNewTokens && open.Contains(true)
            && !cancellation.IsCancellationRequested; made++)
        {
            using var step = NewDisposeScope();
            Tensor input = tensor(tokens, dtype: ScalarType.Int64, device: model.Device).view(-1, 1);
            read.Add(tokens);
            tokens = sampler.Choose(
                model.Logits(model.Decode(input, source, cache)).select(1, 0), rows, NoFiniteLogits);
            for (int row = 0; row < tokens.Length; row++)
            {
                open[row] = open[row] && !stops.Contains((int)tokens[row]);
                if (open[row]) results[row].Add((int)tokens[row]);
            }
        }
        return results;
    }

    private ModelInput Input(IReadOnlyList<int[]> sources)
    {
        int length = sources.Max(source => source.Length);
        long[] ids = [
            .. sources.SelectMany(
                source => Enumerable.Range(0, length).Select(i => i < source.Length ? source[i] : (long)paddingId))];
        long[] mask = [
            .. sources.SelectMany(source => Enumerable.Range(0, length).Select(i => i < source.Length ? 1L : 0L))];
        Tensor Rows(long[] values) => tensor(values, dtype: ScalarType.Int64, device: model.Device).view(-1, length);
        return new ModelInput(Rows(ids), mask.Contains(0) ? Rows(mask) : null);
    }
}

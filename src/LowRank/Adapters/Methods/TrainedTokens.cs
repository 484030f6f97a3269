using System.Text.Json;
using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>The embedding rows that a config trains (<c>trainable_token_indices</c>).</summary>
/// <remarks>A list applies to the model's token embedding; a map lists tokens for each embedding by name.</remarks>
internal static class TrainedTokens
{
    /// <summary>The tokens by the path of their embedding.</summary>
    /// <exception cref="InputException">A name is not an embedding, or a token is not in its table or is repeated; the
    /// message lists all problems.</exception>
    public static IReadOnlyList<KeyValuePair<string, IReadOnlyList<int>>> From(
        AdapterConfig config, IReadOnlyList<ModuleInfo> modules)
    {
        if (config.TrainedTokens is not { } given) return [];
        var problems = new List<string>();
        var found = new List<KeyValuePair<string, IReadOnlyList<int>>>();
        var led = new List<IReadOnlyList<int>>();
        foreach ((string? name, IReadOnlyList<int> tokens) in given)
        {
            ModuleInfo? table = name is null ? modules.FirstOrDefault(module => module.IsInputEmbedding)
                : modules.FirstOrDefault(
                    module => IsTable(module)
                    && (module.Path == name || module.Path.EndsWith("." + name, StringComparison.Ordinal)));
            if (table is null)
            {
                problems.Add(
                    $"trainable_token_indices: \"{name}\" is no table over the vocabulary; there " +
                    $"{string.Join(" and ", modules.Where(IsTable).Select(module => $"is \"{module.Path}\""))}");
                continue;
            }
            int[] outside = [.. tokens.Where(token => token < 0 || token >= Rows(table))];
            if (outside.Length > 0)
                problems.Add(
                    $"trainable_token_indices: found {string.Join(", ", outside.Take(10))}, expected token ids " +
                    $"below {Rows(table)}");
            int[] twice = [
                .. tokens.GroupBy(token => token).Where(group => group.Count() > 1).Select(group => group.Key)];
            if (twice.Length > 0)
                problems.Add(
                    $"trainable_token_indices: {string.Join(", ", twice.Take(10))} stand there twice; keep one of " +
                    "each");
            if (table.IsTied) led.Add(tokens);
            else found.Add(KeyValuePair.Create(table.Path, tokens));
        }
        // As in PEFT: if both names of a shared weight train the same tokens, the head follows the embedding.
        string? embedding = modules.FirstOrDefault(module => module.IsInputEmbedding)?.Path;
        if (led.Exists(tokens => !found.Exists(table => table.Key == embedding && table.Value.SequenceEqual(tokens))))
            problems.Add(
                $"trainable_token_indices: the output head computes with the weight of \"{embedding}\" and is to " +
                "train other tokens than that; name the embedding alone, the head follows it");
        return problems.Count == 0 ? found : throw new InputException("This adapter cannot be used:", problems);
    }

    /// <summary>The width of a row.</summary>
    public static long Width(ModuleInfo table) => table.Kind == ModuleKind.Embedding ? table.OutputSize
        : table.InputSize;

    private static long Rows(ModuleInfo table) => table.Kind == ModuleKind.Embedding ? table.InputSize
        : table.OutputSize;

    private static bool IsTable(ModuleInfo module) => module.Kind == ModuleKind.Embedding || module.IsOutputHead;

    /// <summary>The rows as parts, and their effect on a tied head.</summary>
    public static IEnumerable<IAdapterPart> Build(AdapterBuild build)
    {
        foreach ((string path, IReadOnlyList<int> tokens) in From(build.Config, ModuleInfo.From(build.Network)))
        {
            AdaptableLayer layer = build.Layers[path];
            using var scope = NewDisposeScope();
            Tensor index = tensor(tokens.Select(token => (long)token).ToArray(), device: layer.Matrix.device);
            Tensor rows = build.LoadOrInitialize(
                path, ".token_adapter.trainable_tokens_delta", () => layer.Matrix.index_select(0, index));
            if (layer.Kind != ModuleKind.Embedding)
            {
                yield return new AdaptedLayer(layer, new TokenScores(rows, tokens, layer.Bias));
                continue;
            }
            var trained = new TokenRows(rows, tokens, layer.InputSize);
            yield return new AdaptedLayer(layer, trained);
            if (build.Layers.Values.FirstOrDefault(
                other => other.IsTiedHead && other.Parameter == layer.Parameter) is { } head)
                yield return new AdaptedLayer(head, new TokenScores(trained, head.Bias));
        }
    }
}

/// <summary>Trained embedding rows (<c>trainable_token_indices</c>): they replace the base's rows, whatever their
/// values.</summary>
/// <remarks>If the output head shares the embedding's weight, it uses the same rows:
/// <see cref="TokenScores"/>.</remarks>
internal sealed class TokenRows : IAdapterLayer
{
    private readonly Tensor places; // [rows of the table]: the place among the trained rows, or −1

    /// <summary>Takes ownership of the float32 rows.</summary>
    /// <param name="rows">The rows, [tokens, width].</param>
    /// <param name="tokens">Their token ids, all distinct.</param>
    /// <param name="tableRows">Number of rows in the table.</param>
    public TokenRows(Tensor rows, IReadOnlyList<int> tokens, int tableRows)
    {
        (Rows, Tokens) = (rows, tokens);
        long[] place = new long[tableRows];
        Array.Fill(place, -1);
        for (int i = 0; i < tokens.Count; i++) place[tokens[i]] = i;
        places = tensor(place).to(rows.device).DetachFromDisposeScope();
    }

    /// <summary>The rows, [tokens, width].</summary>
    public Tensor Rows { get; }

    /// <summary>Their token ids.</summary>
    public IReadOnlyList<int> Tokens { get; }

    public bool CoversTie => true;

    public double Weight { get; set; } = 1;

    public bool IsAdditive => false;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
        [KeyValuePair.Create(".token_adapter.trainable_tokens_delta", Rows)];

    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        Tensor whole = inner.Forward(input);
        Tensor place = places.index_select(0, input.reshape(-1)); // [tokens of the batch]
        Tensor trained = Rows.index_select(0, place.clamp_min(Number(0))).view(whole.shape);
        if (Weight != 1) trained = whole.Plus((trained - whole) * Number(Weight));
        return where((place >= Number(0)).view([.. input.shape, 1]), trained, whole);
    }

    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        Tensor index = tensor(Tokens.Select(token => (long)token).ToArray(), device: weight.device);
        Tensor rows = Rows.detach();
        if (Weight != 1) rows = (weight.index_select(0, index) * Number(1 - Weight)).Plus(rows * Number(Weight));
        return (weight.index_copy(0, index, rows), bias);
    }

    public void Dispose()
    {
        Rows.Dispose();
        places.Dispose();
    }
}

/// <summary>Trained rows of an output head, which score their tokens. A head that shares the embedding's weight follows
/// the rows of <see cref="TokenRows"/>; a head with a separate weight has its own rows.</summary>
internal sealed class TokenScores : IAdapterLayer
{
    private readonly TokenRows? leader;
    private readonly Tensor rows;   // [tokens, width]
    private readonly Tensor places; // [tokens], their ids
    private readonly Tensor? bias;  // [vocabulary], the head's
    private double factor = 1;

    /// <summary>Scores with the embedding's rows.</summary>
    /// <param name="leader">The rows; not owned.</param>
    /// <param name="bias">The head's bias, [vocabulary], or null; not owned.</param>
    public TokenScores(TokenRows leader, Tensor? bias)
        : this(leader.Rows, leader.Tokens, bias) => this.leader = leader;

    /// <summary>Takes ownership of its own float32 rows.</summary>
    /// <param name="rows">The rows, [tokens, width].</param>
    /// <param name="tokens">Their token ids, all distinct.</param>
    /// <param name="bias">The head's bias, [vocabulary], or null; not owned.</param>
    public TokenScores(Tensor rows, IReadOnlyList<int> tokens, Tensor? bias)
    {
        (this.rows, this.bias) = (rows, bias);
        places = tensor(tokens.Select(token => (long)token).ToArray(), device: rows.device).DetachFromDisposeScope();
    }

    public bool CoversTie => true;

    public bool Follows => leader is not null;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => leader is null
        ? [KeyValuePair.Create(".token_adapter.trainable_tokens_delta", rows)] : [];

    public double Weight
    {
        get => leader?.Weight ?? factor;
        set
        {
            if (leader is null) factor = value;
            else leader.Weight = value;
        }
    }

    public bool IsAdditive => false;

    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        Tensor scores = inner.Forward(input); // […, vocabulary]
        Tensor fresh = LinearProduct.Apply(input, rows, bias?.index_select(0, places));
        if (Weight != 1) fresh = (scores.index_select(-1, places) * Number(1 - Weight)).Plus(fresh * Number(Weight));
        return scores.index_copy(-1, places, fresh);
    }

    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        Tensor values = rows.detach().to(weight.device), index = places.to(weight.device);
        if (Weight != 1) values = (weight.index_select(0, index) * Number(1 - Weight)).Plus(values * Number(Weight));
        return (weight.index_copy(0, index, values), bias);
    }

    public void Dispose()
    {
        places.Dispose();
        if (leader is null) rows.Dispose(); // the others belong to the embedding's part
    }
}

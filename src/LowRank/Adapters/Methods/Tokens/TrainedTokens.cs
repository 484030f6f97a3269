using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Tokens;

/// <summary>The rows of embeddings that a config trains (<c>trainable_token_indices</c>).</summary>
/// <remarks>A list means the model's token embedding; a map gives tokens for each embedding by name.</remarks>
internal static class TrainedTokens
{
    /// <summary>The tokens by the path of their embedding.</summary>
    /// <exception cref="InputException">A name is no embedding, a token is not in its table, or stands there twice: all at once.</exception>
    public static IReadOnlyList<KeyValuePair<string, IReadOnlyList<int>>> Of(LoraConfig config, IReadOnlyList<ModuleInfo> modules)
    {
        if (config.TrainedTokens is not { } given) return [];
        var problems = new List<string>();
        var found = new List<KeyValuePair<string, IReadOnlyList<int>>>();
        var led = new List<IReadOnlyList<int>>();
        foreach ((string? name, IReadOnlyList<int> tokens) in given)
        {
            ModuleInfo? table = name is null ? modules.FirstOrDefault(module => module.IsInputEmbedding)
                : modules.FirstOrDefault(module => IsTable(module) && (module.Path == name || module.Path.EndsWith("." + name, StringComparison.Ordinal)));
            if (table is null)
            {
                problems.Add($"trainable_token_indices: \"{name}\" is no table over the vocabulary; there {string.Join(" and ", modules.Where(IsTable).Select(module => $"is \"{module.Path}\""))}");
                continue;
            }
            int[] outside = [.. tokens.Where(token => token < 0 || token >= Rows(table))];
            if (outside.Length > 0) problems.Add($"trainable_token_indices: found {string.Join(", ", outside.Take(10))}, expected token ids below {Rows(table)}");
            int[] twice = [.. tokens.GroupBy(token => token).Where(group => group.Count() > 1).Select(group => group.Key)];
            if (twice.Length > 0) problems.Add($"trainable_token_indices: {string.Join(", ", twice.Take(10))} stand there twice; keep one of each");
            if (table.IsTied) led.Add(tokens);
            else found.Add(KeyValuePair.Create(table.Path, tokens));
        }
        // As PEFT: where both names of a shared weight train the same tokens, the head follows the embedding.
        string? embedding = modules.FirstOrDefault(module => module.IsInputEmbedding)?.Path;
        if (led.Exists(tokens => !found.Exists(table => table.Key == embedding && table.Value.SequenceEqual(tokens))))
            problems.Add($"trainable_token_indices: the output head computes with the weight of \"{embedding}\" and is to train other tokens than that; name the embedding alone, the head follows it");
        return problems.Count == 0 ? found : throw new InputException("This adapter cannot be used:", problems);
    }

    /// <summary>The width of a row.</summary>
    public static long Width(ModuleInfo table) => table.Kind == ModuleKind.Embedding ? table.OutputSize : table.InputSize;

    private static long Rows(ModuleInfo table) => table.Kind == ModuleKind.Embedding ? table.InputSize : table.OutputSize;

    private static bool IsTable(ModuleInfo module) => module.Kind == ModuleKind.Embedding || module.IsOutputHead;

    /// <summary>The rows as parts, and what a tied head makes of them.</summary>
    public static IEnumerable<IAdapterPart> Build(AdapterBuild build)
    {
        foreach ((string path, IReadOnlyList<int> tokens) in Of(build.Config, AdaptableModules.Of(build.Network)))
        {
            AdapterSite site = build.Sites[path];
            using var scope = NewDisposeScope();
            Tensor index = tensor(tokens.Select(token => (long)token).ToArray(), device: site.Matrix.device);
            Tensor rows = build.Take(path, ".token_adapter.trainable_tokens_delta", () => site.Matrix.index_select(0, index));
            if (site.Kind != ModuleKind.Embedding)
            {
                yield return new AdaptedModule(site, new TokenScores(rows, tokens, site.Bias));
                continue;
            }
            var layer = new TokenRows(rows, tokens, site.InputSize);
            yield return new AdaptedModule(site, layer);
            if (build.Sites.Values.FirstOrDefault(other => other.IsTiedHead && other.Parameter == site.Parameter) is { } head)
                yield return new AdaptedModule(head, new TokenScores(layer, head.Bias));
        }
    }
}

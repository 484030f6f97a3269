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
        foreach ((string? name, IReadOnlyList<int> tokens) in given)
        {
            ModuleInfo? table = name is null ? modules.FirstOrDefault(module => module.IsInputEmbedding)
                : modules.FirstOrDefault(module => module.Kind == ModuleKind.Embedding && (module.Path == name || module.Path.EndsWith("." + name, StringComparison.Ordinal)));
            if (table is null)
            {
                problems.Add($"trainable_token_indices: \"{name}\" is no embedding of the model; its token embedding is \"{modules.FirstOrDefault(module => module.IsInputEmbedding)?.Path}\"");
                continue;
            }
            int[] outside = [.. tokens.Where(token => token < 0 || token >= table.InputSize)];
            if (outside.Length > 0) problems.Add($"trainable_token_indices: found {string.Join(", ", outside.Take(10))}, expected token ids below {table.InputSize}");
            int[] twice = [.. tokens.GroupBy(token => token).Where(group => group.Count() > 1).Select(group => group.Key)];
            if (twice.Length > 0) problems.Add($"trainable_token_indices: {string.Join(", ", twice.Take(10))} stand there twice; keep one of each");
            found.Add(KeyValuePair.Create(table.Path, tokens));
        }
        return problems.Count == 0 ? found : throw new InputException("This adapter cannot be used:", problems);
    }

    /// <summary>The rows as parts, and what a tied head makes of them.</summary>
    public static IEnumerable<IAdapterPart> Build(AdapterBuild build)
    {
        foreach ((string path, IReadOnlyList<int> tokens) in Of(build.Config, AdaptableModules.Of(build.Network)))
        {
            AdapterSite site = build.Sites[path];
            using var scope = NewDisposeScope();
            Tensor index = tensor(tokens.Select(token => (long)token).ToArray(), device: site.Matrix.device);
            Tensor rows = build.Take(path, ".token_adapter.trainable_tokens_delta", () => site.Matrix.index_select(0, index));
            var layer = new TokenRows(rows, tokens, site.InputSize);
            yield return new AdaptedModule(site, layer);
            if (build.Sites.Values.FirstOrDefault(other => other.IsTiedHead && other.Parameter == site.Parameter) is { } head)
                yield return new AdaptedModule(head, new TokenScores(layer));
        }
    }
}

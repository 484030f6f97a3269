namespace LowRank.Adapters.Methods;

/// <summary>All ways to adapt, found by their type: adding one edits no list.</summary>
public static class AdapterMethods
{
    /// <summary>The keys of a recipe's <c>adapter</c> section that choose modules.</summary>
    public static IReadOnlyList<string> TargetKeys { get; } =
        ["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save"];

    /// <summary>The keys that every low-rank pair has.</summary>
    public static IReadOnlyList<string> PairKeys { get; } =
        [.. TargetKeys, "rank", "alpha", "dropout", "bias", "use_rslora", "rank_pattern", "alpha_pattern", "ensure_weight_tying", "trainable_token_indices", "new_tokens"];

    private static readonly Dictionary<string, IAdapterMethod> Methods = typeof(AdapterMethods).Assembly.GetTypes()
        .Where(type => typeof(IAdapterMethod).IsAssignableFrom(type) && type is { IsAbstract: false, IsInterface: false })
        .Select(type => (IAdapterMethod)Activator.CreateInstance(type)!)
        .ToDictionary(method => method.Name);

    /// <summary>Their names, sorted.</summary>
    public static IReadOnlyList<string> Names => [.. Methods.Keys.Order(StringComparer.Ordinal)];

    /// <summary>All methods, sorted by name.</summary>
    public static IReadOnlyList<IAdapterMethod> All => [.. Names.Select(name => Methods[name])];

    /// <summary>The method of a name.</summary>
    /// <exception cref="InputException">There is none; the message lists those that are.</exception>
    public static IAdapterMethod Get(string name) => Methods.TryGetValue(name, out IAdapterMethod? method)
        ? method
        : throw new InputException($"There is no adapter method \"{name}\"; there are {string.Join(", ", Names)}.");
}

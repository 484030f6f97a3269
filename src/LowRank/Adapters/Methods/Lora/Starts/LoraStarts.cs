namespace LowRank.Adapters.Methods.Lora.Starts;

/// <summary>All starts, found by their type.</summary>
internal static class LoraStarts
{
    private static readonly ILoraStart[] All = [.. typeof(LoraStarts).Assembly.GetTypes()
        .Where(type => typeof(ILoraStart).IsAssignableFrom(type) && type is { IsAbstract: false, IsInterface: false })
        .Select(type => (ILoraStart)Activator.CreateInstance(type)!)
        .OrderBy(start => start.Name, StringComparer.Ordinal)];

    /// <summary>The names in words.</summary>
    public static string Names => string.Join(", ", All.Select(start => start.Name));

    /// <summary>Whether a value of <c>init_lora_weights</c> can be acted on.</summary>
    public static bool Supports(string name, AdapterUse use) =>
        All.FirstOrDefault(start => start.Is(name)) is { } found && (use == AdapterUse.Create || found.CanLoad);

    /// <summary>The start of a name; that of <c>true</c> for names that matter for new adapters only.</summary>
    public static ILoraStart Find(string name) => All.FirstOrDefault(start => start.Is(name)) ?? All.Single(start => start.Is("true"));
}

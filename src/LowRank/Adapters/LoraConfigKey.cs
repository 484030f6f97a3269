using System.Text.Json;
using LowRank.Adapters.Json;

namespace LowRank.Adapters;

/// <summary>One key of PEFT's config of an adapter: what it may hold, what it holds when it is missing, and which of its values
/// LowRank can act on.</summary>
/// <param name="Name">The key.</param>
/// <param name="DefaultText">The JSON that PEFT 0.20.1 assumes where the key is missing.</param>
/// <param name="Shape">The kinds of value that PEFT takes.</param>
/// <param name="Limit">The values we can act on; null where every value of the right kind is.</param>
/// <param name="IsOwn">Whether the key, though another kind of adapter has one of its name as a property of
/// <see cref="LoraConfig"/>, means something else here and is kept as data.</param>
internal sealed record LoraConfigKey(string Name, string DefaultText, JsonShape Shape, LoraConfigKeyLimit? Limit = null, bool IsOwn = false)
{
    /// <summary>The value of a missing key.</summary>
    public JsonElement Default { get; } = JsonElement.Parse(DefaultText);
}

using System.Text.Json;
using LowRank.Adapters.Json;

namespace LowRank.Adapters;

/// <summary>One key of PEFT's LoRA config: what it may hold, what it holds when it is missing, and which of its values
/// LowRank can act on.</summary>
/// <param name="Name">The key.</param>
/// <param name="DefaultText">The JSON that PEFT 0.20.1 assumes where the key is missing.</param>
/// <param name="Shape">The kinds of value that PEFT takes.</param>
/// <param name="Limit">The values we can act on; null where every value of the right kind is.</param>
internal sealed record LoraConfigKey(string Name, string DefaultText, JsonShape Shape, LoraConfigKeyLimit? Limit = null)
{
    /// <summary>The value of a missing key.</summary>
    public JsonElement Default { get; } = JsonElement.Parse(DefaultText);
}

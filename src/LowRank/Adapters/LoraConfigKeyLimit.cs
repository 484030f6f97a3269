using System.Text.Json;

namespace LowRank.Adapters;

/// <summary>The values of a key that LowRank can act on.</summary>
/// <param name="Supports">Whether a value of the right kind can be acted on, for this use.</param>
/// <param name="Expected">The supported values in words.</param>
/// <param name="Advice">What the other values ask for, and what to do instead.</param>
internal sealed record LoraConfigKeyLimit(Func<JsonElement, AdapterUse, bool> Supports, string Expected, string Advice);

namespace LowRank.Samples.Understanding;

/// <summary>A method of the comparison.</summary>
/// <param name="Method">The value of <c>adapter.method</c>.</param>
/// <param name="AdapterKeys">The other keys of the recipe's <c>adapter</c> section, as YAML.</param>
/// <param name="FirstRate">The learning rate that is tried first.</param>
public sealed record Way(string Method, string AdapterKeys, double FirstRate);

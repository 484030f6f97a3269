using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Values;

/// <summary>Something callable: a global function, a method with its object, or what a call block passes.</summary>
/// <param name="Name">The name for messages.</param>
/// <param name="Call">What a call does.</param>
internal sealed record FunctionValue(string Name, Func<Renderer, Arguments, object> Call);

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>A parameter of a macro with its default, if it has one.</summary>
internal sealed record MacroParameter(string Name, Expression? Default);

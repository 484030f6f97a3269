namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>A parsed template.</summary>
internal sealed record TemplateBody(IReadOnlyList<Statement> Statements, bool HasGenerationBlocks);

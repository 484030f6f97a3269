namespace LowRank.Cli.Report;

/// <summary>An attribute of an element.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Value">Its value, as it is read: it is escaped where it is written.</param>
internal sealed record HtmlAttribute(string Name, string Value);

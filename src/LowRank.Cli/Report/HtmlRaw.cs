namespace LowRank.Cli.Report;

/// <summary>Text of a style or a script, which HTML does not unescape.</summary>
/// <param name="Text">May not end the element that it is in.</param>
internal sealed record HtmlRaw(string Text);

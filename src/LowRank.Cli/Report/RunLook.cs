using static LowRank.Cli.Report.HtmlElement;

namespace LowRank.Cli.Report;

/// <summary>How curves of a run look: by colour and by dashes, so that they are told apart without colours too.</summary>
internal static class RunLook
{
    private const int Colours = 8, Dashes = 4;

    /// <summary>How many runs look different.</summary>
    public const int Most = Colours * Dashes;

    /// <summary>The classes of a run's curves.</summary>
    /// <param name="run">Its number from 0.</param>
    public static string Class(int run) => $"c{run % Colours} d{(run + run / Colours) % Dashes}";

    /// <summary>A piece of a run's line, for legends.</summary>
    public static HtmlElement Sample(int run) => E("svg", HtmlElement.Class("sample"), A("viewBox", "0 0 36 10"), A("aria-hidden", "true"),
        E("path", HtmlElement.Class($"curve held-out {Class(run)}"), A("d", "M1 5L35 5")));
}

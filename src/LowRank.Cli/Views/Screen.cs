using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Views;

/// <summary>Standard output as a place for tables and pictures.</summary>
internal static class Screen
{
    private const int WidthElsewhere = 160; // a file or a pipe has no width: wide enough for module paths, still readable

    /// <summary>Whether pictures can be drawn over themselves: a terminal that a person watches.</summary>
    public static bool IsLive => !Console.IsOutputRedirected && AnsiConsole.Profile.Capabilities.Ansi;

    /// <summary>Writes a table or text; without control characters where the output is no terminal.</summary>
    public static void Write(IRenderable content)
    {
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = WidthElsewhere;
        AnsiConsole.Write(content);
        if (content is not Table) AnsiConsole.WriteLine();
    }
}

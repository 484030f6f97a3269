using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Common;

/// <summary>Standard output and standard error. On a terminal everything except the program's own drawings passes
/// through <see cref="VisibleText"/>; files and pipes get the text unchanged.</summary>
public static class Screen
{
    private static TextWriter? drawn, drawnErrors; // the writers before Open

    // files and pipes have no width; this fits module paths and is still readable
    private const int WidthElsewhere = 160;

    /// <summary>Whether pictures can be redrawn in place: the output is an interactive terminal.</summary>
    public static bool IsLive => !Console.IsOutputRedirected && AnsiConsole.Profile.Capabilities.Ansi;

    /// <summary>Standard output for text with its own colours, in which all external text has been made
    /// visible.</summary>
    public static TextWriter Drawn => drawn ?? Console.Out;

    /// <summary>Installs itself in front of the terminal, if there is one. Call once, before anything is
    /// written.</summary>
    public static void Open()
    {
        (drawn, drawnErrors) = (Console.Out, Console.Error);
        if (!Console.IsErrorRedirected) Console.SetError(new VisibleText.Writer(Console.Error));
        if (Console.IsOutputRedirected) return;
        AnsiConsole.Console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new Terminal(drawn) });
        AnsiConsole.Console.Pipeline.Attach(new VisibleSegments());
        Console.SetOut(new VisibleText.Writer(drawn));
    }

    /// <summary>Writes a table or text; without control characters if the output is not a terminal.</summary>
    public static void Write(IRenderable content)
    {
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = WidthElsewhere;
        AnsiConsole.Write(content);
        if (content is not Table) AnsiConsole.WriteLine();
    }

    /// <summary>A table with names at the left and numbers at the right.</summary>
    /// <param name="first">The heading of the first column.</param>
    /// <param name="columns">The headings of the columns of numbers.</param>
    public static Table TableOf(string first, params IEnumerable<string> columns)
    {
        Table table = new Table().Border(TableBorder.Simple).AddColumn(Markup.Escape(first));
        foreach (string column in columns) table.AddColumn(new TableColumn(Markup.Escape(column)).RightAligned());
        return table;
    }

    /// <summary>Prepares an external text for a cell, whose width is measured before it is written.</summary>
    public static string Cell(string text) => Console.IsOutputRedirected ? text : VisibleText.Of(text);

    /// <summary>Shows a picture that is redrawn in place during work.</summary>
    public static T Live<T>(Func<Action<IRenderable>, T> work) => AnsiConsole.Live(new Text(""))
        // the picture bypasses the pipeline
        .Start(context => work(picture => context.UpdateTarget(VisibleSegments.In(picture))));

    /// <summary>Returns to the start of the line on standard error.</summary>
    public static void EraseErrorLine() => (drawnErrors ?? Console.Error).Write("\r\u001b[K");

    /// <summary>Makes control characters in the text of tables and pictures visible and leaves the drawing itself
    /// unchanged.</summary>
    public sealed class VisibleSegments : IRenderHook
    {
        public IEnumerable<IRenderable> Process(RenderOptions options, IEnumerable<IRenderable> renderables) =>
            renderables.Select(In);

        public static IRenderable In(IRenderable content) => new Shown(content);

        private sealed class Shown(IRenderable content) : IRenderable
        {
            public Measurement Measure(RenderOptions options, int maxWidth) => content.Measure(options, maxWidth);

            public IEnumerable<Segment> Render(RenderOptions options, int maxWidth) => content.Render(options, maxWidth)
                .Select(segment => segment.IsControlCode || segment.IsLineBreak ? segment
                : new Segment(VisibleText.Of(segment.Text), segment.Style));
        }
    }

    // Spectre.Console recognises a terminal only if it is Console.Out, which has been replaced.
    private sealed class Terminal(TextWriter writer) : IAnsiConsoleOutput
    {
        private readonly AnsiConsoleOutput known = new(writer);

        public TextWriter Writer => writer;

        public bool IsTerminal => true;

        public int Width => known.Width;

        public int Height => known.Height;

        public void SetEncoding(System.Text.Encoding encoding) => known.SetEncoding(encoding);
    }
}

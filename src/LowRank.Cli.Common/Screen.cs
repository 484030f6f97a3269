using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Common;

/// <summary>Standard output and standard error. On a terminal everything passes through <see cref="VisibleText"/> but
/// what this program itself draws; files and pipes get the text as it is.</summary>
public static class Screen
{
    private static TextWriter? drawn, drawnErrors; // as they were before Open

    // a file or a pipe has no width: wide enough for module paths, still readable
    private const int WidthElsewhere = 160;

    /// <summary>Whether pictures can be drawn over themselves: a terminal that a person watches.</summary>
    public static bool IsLive => !Console.IsOutputRedirected && AnsiConsole.Profile.Capabilities.Ansi;

    /// <summary>Standard output for text that brings colours of its own, and nothing from elsewhere that was not made
    /// visible.</summary>
    public static TextWriter Drawn => drawn ?? Console.Out;

    /// <summary>Puts itself before the terminal, where there is one. To be called once, before anything is
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

    /// <summary>Writes a table or text; without control characters where the output is no terminal.</summary>
    public static void Write(IRenderable content)
    {
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = WidthElsewhere;
        AnsiConsole.Write(content);
        if (content is not Table) AnsiConsole.WriteLine();
    }

    /// <summary>A text from elsewhere as it is to stand in a cell, whose width is measured before it is
    /// written.</summary>
    public static string Cell(string text) => Console.IsOutputRedirected ? text : VisibleText.Of(text);

    /// <summary>Shows a picture that is drawn over itself while work is done.</summary>
    public static T Live<T>(Func<Action<IRenderable>, T> work) => AnsiConsole.Live(new Text(""))
        // it is drawn behind the pipeline
        .Start(context => work(picture => context.UpdateTarget(VisibleSegments.In(picture))));

    /// <summary>Begins the line of standard error anew.</summary>
    public static void EraseErrorLine() => (drawnErrors ?? Console.Error).Write("\r\u001b[K");

    /// <summary>Makes the text in tables and pictures visible, and leaves what draws them.</summary>
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

    // Spectre.Console knows a terminal by its being Console.Out, which this is no more.
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

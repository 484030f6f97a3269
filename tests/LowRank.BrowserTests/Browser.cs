using Microsoft.Playwright;

namespace LowRank.BrowserTests;

/// <summary>A Chromium that is on the machine, and pages that <c>lowrank report</c> made of runs with awkward
/// contents.</summary>
public sealed class Browser : IAsyncLifetime
{
    private static readonly string[] Names =
        ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
    private readonly TemporaryFolder folder = new();
    private IPlaywright? playwright;
    private IBrowser? browser;

    /// <summary>A page of one run.</summary>
    public string One => folder["one.html"];

    /// <summary>A page of three runs: whole, without evaluations, torn.</summary>
    public string Several => folder["several.html"];

    public async ValueTask InitializeAsync()
    {
        if (Program() is not { } program) return; // each test says so
        Runs.Write(folder.Path);
        Report(One, "whole");
        Report(Several, "whole", "plain", "torn");
        playwright = await Playwright.CreateAsync();
        browser = await playwright.Chromium.LaunchAsync(
            new BrowserTypeLaunchOptions { ExecutablePath = program, Args = ["--no-sandbox"] });
    }

    /// <summary>Opens a page in a browser of its own; skips the test where there is no Chromium.</summary>
    /// <param name="path">The page.</param>
    /// <param name="options">How the browser is set.</param>
    public async Task<OpenedPage> Open(string path, BrowserNewContextOptions? options = null)
    {
        Assert.SkipWhen(
            browser is null,
            $"No Chromium was found in PATH (looked for {string.Join(", ", Names)}); CHROMIUM may name one. On " +
            "Debian: apt-get install chromium.");
        return await OpenedPage.Of(await browser!.NewContextAsync(options), new Uri(path).AbsoluteUri);
    }

    public async ValueTask DisposeAsync()
    {
        if (browser is not null) await browser.DisposeAsync();
        playwright?.Dispose();
        folder.Dispose();
    }

    private void Report(string page, params string[] runs)
    {
        CommandResult made = CommandLine.RunIn(folder.Path, ["report", .. runs, "--output", page]);
        Assert.True(made.ExitCode == 0, made.Error);
    }

    private static string? Program() => Environment.GetEnvironmentVariable("CHROMIUM")
        ?? (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .SelectMany(place => Names.Select(name => Path.Combine(place, name))).FirstOrDefault(File.Exists);
}

using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;

namespace LowRank.BrowserTests;

/// <summary>The page of <c>lowrank report</c> in a real browser.</summary>
public sealed class ReportPageTests(Browser browser) : IClassFixture<Browser>
{
    [Theory]
    [InlineData(ColorScheme.Light, 1280)]
    [InlineData(ColorScheme.Dark, 1280)]
    [InlineData(ColorScheme.Light, 360)]
    [InlineData(ColorScheme.Dark, 360)]
    public async Task Nothing_stands_in_the_way_of_assistive_technology(ColorScheme colours, int width)
    {
        foreach (string path in (string[])[browser.One, browser.Several])
        {
            await using OpenedPage opened =
                await browser.Open(
                    path, new() { ColorScheme = colours, ViewportSize = new() { Width = width, Height = 900 } });
            await opened.Page.EvaluateAsync(
                "for (const details of document.querySelectorAll('details')) details.open = true");
            AxeResult result = await opened.Page.RunAxe();
            Assert.Empty(result.Violations.Select(
                violation =>
                $"{violation.Id}: {violation.Help}: " +
                $"{string.Join(" | ", violation.Nodes.Take(3).Select(node => node.Html))}"));
            Assert.True(result.Passes.Length > 20, "axe has checked next to nothing");
            Assert.True(await opened.Page.EvaluateAsync<bool>(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth"),
                "the page is wider than the screen");
            await Screenshot(
                opened.Page, $"{Path.GetFileNameWithoutExtension(path)}-{colours}-{width}".ToLowerInvariant());
        }
    }

    [Fact]
    public async Task The_page_asks_for_nothing_and_complains_of_nothing()
    {
        foreach (string path in (string[])[browser.One, browser.Several])
        {
            await using OpenedPage opened = await browser.Open(path);
            await opened.Page.WaitForTimeoutAsync(300);
            Assert.Equal([new Uri(path).AbsoluteUri], opened.Requests);
            Assert.Empty(opened.Complaints);
        }
    }

    [Fact]
    public async Task Texts_of_runs_are_shown_and_never_run()
    {
        await using OpenedPage opened = await browser.Open(browser.Several);
        Assert.Empty(opened.Complaints);
        Assert.Equal(0, await opened.Page.Locator("img").CountAsync());
        Assert.Equal(2, await opened.Page.Locator("script").CountAsync());
        Assert.Contains(await opened.Page.Locator("dd").AllTextContentsAsync(), text => text == Runs.Hostile);
    }

    [Fact]
    public async Task A_script_that_slipped_in_would_not_run()
    {
        await using OpenedPage opened = await browser.Open(browser.One);
        await opened.Page.EvaluateAsync("""
            const script = document.createElement('script'); script.textContent = 'document.title = "ran"'; document.body.append(script);
            const image = new Image(); image.src = 'https://example.org/x.png'; document.body.append(image);
            """);
        await opened.Page.WaitForTimeoutAsync(300);
        Assert.NotEqual("ran", await opened.Page.TitleAsync());
        Assert.Equal(2, opened.Complaints.Count(said => said.Contains("Content Security Policy")));
    }

    [Fact]
    public async Task Everything_is_reached_and_moved_by_the_keyboard()
    {
        await using OpenedPage opened = await browser.Open(browser.Several);
        IPage page = opened.Page;
        ILocator loss = page.Locator(".chart").First;
        await opened.TabTo(".skip");
        string linear = await loss.Locator("path").First.GetAttributeAsync("d") ?? "";
        await opened.TabTo("#logarithmic");
        await page.Keyboard.PressAsync("Space");
        Assert.NotEqual(linear, await loss.Locator("path").First.GetAttributeAsync("d"));
        await page.Keyboard.PressAsync("Space");
        Assert.Equal(linear, await loss.Locator("path").First.GetAttributeAsync("d"));

        await opened.TabTo("#smoothing");
        await page.Keyboard.PressAsync("ArrowRight");
        await page.Keyboard.PressAsync("ArrowRight");
        Assert.Equal(3, await loss.Locator("path.smooth").CountAsync()); // the training losses; held-out ones stay
        Assert.Equal("over 1 % of the steps", await page.GetAttributeAsync("#smoothing", "aria-valuetext"));

        await opened.TabTo("#legend li:nth-child(2) input");
        await page.Keyboard.PressAsync("Space");
        Assert.Equal(2, await loss.Locator("path.smooth").CountAsync());

        await opened.TabTo(".chart .reading input");
        await page.Keyboard.PressAsync("Home");
        Assert.StartsWith("Step 1: whole, training ", await loss.Locator("output").TextContentAsync());
        await page.Keyboard.PressAsync("ArrowRight");
        string read = await loss.Locator("output").TextContentAsync() ?? "";
        Assert.StartsWith("Step 2: ", read);
        Assert.Equal(read, await loss.Locator(".reading input").GetAttributeAsync("aria-valuetext"));
        Assert.Equal(1, await loss.Locator(".crosshair").CountAsync());
        await page.CheckAsync("#logarithmic");
        Assert.Equal(1, await loss.Locator(".crosshair").CountAsync());
        Assert.Equal(read, await loss.Locator("output").TextContentAsync());
        await Screenshot(page, "several-logarithmic");
    }

    [Fact]
    public async Task The_pointer_reads_values()
    {
        await using OpenedPage opened = await browser.Open(browser.One);
        ILocator loss = opened.Page.Locator(".chart").First;
        await loss.Locator("svg").HoverAsync(new() { Position = new() { X = 60, Y = 100 } });
        Assert.StartsWith("Step 1: training ", await loss.Locator("output").TextContentAsync());
    }

    [Theory]
    [InlineData(ColorScheme.Light, "dark")]
    [InlineData(ColorScheme.Dark, "light")]
    public async Task Colours_are_chosen(ColorScheme system, string chosen)
    {
        await using OpenedPage opened = await browser.Open(browser.One, new() { ColorScheme = system });
        Task<string> Ground() =>
            opened.Page.EvaluateAsync<string>("getComputedStyle(document.documentElement).backgroundColor");
        string before = await Ground();
        await opened.Page.SelectOptionAsync("#theme", chosen);
        Assert.NotEqual(before, await Ground());
        AxeResult result = await opened.Page.RunAxe();
        Assert.Empty(result.Violations.Select(violation => violation.Id));
        await opened.Page.SelectOptionAsync("#theme", "");
        Assert.Equal(before, await Ground());
    }

    [Fact]
    public async Task Without_scripts_the_same_curves_are_there()
    {
        await using OpenedPage still = await browser.Open(browser.Several, new() { JavaScriptEnabled = false });
        await using OpenedPage lively = await browser.Open(browser.Several);
        Assert.Equal(0, await still.Page.Locator("input, select").CountAsync());
        await Screenshot(still.Page, "several-still");
        int charts = await still.Page.Locator(".chart").CountAsync();
        Assert.True(charts >= 6, $"{charts} charts");
        for (int chart = 0; chart < charts; chart++)
        {
            ILocator drawn = still.Page.Locator(".chart").Nth(chart).Locator("svg"),
                redrawn = lively.Page.Locator(".chart").Nth(chart).Locator("svg");
            Assert.True(await drawn.Locator("path.curve").First.IsVisibleAsync());
            Assert.Equal(await drawn.Locator("path.curve").CountAsync(), await redrawn.Locator("path.curve")
                .CountAsync());
            Assert.NotEmpty(await Places(drawn));
            // both are rounded to a tenth
            Assert.All((await Places(drawn)).Zip(await Places(redrawn)),
                pair => Assert.InRange(Math.Abs(pair.First - pair.Second), 0, 0.3));
            Assert.Equal(await drawn.Locator("text[text-anchor=end]").AllTextContentsAsync(),
                await redrawn.Locator("text[text-anchor=end]").AllTextContentsAsync());
        }
    }

    // The heights of all points: widths depend on the screen.
    private static async Task<double[]> Places(ILocator svg) =>
        await svg.EvaluateAsync<double[]>(
            "svg => [...svg.querySelectorAll('path.curve')].flatMap(path => " +
            "path.getAttribute('d').slice(1).split('L').map(pair => Number(pair.split(' ')[1])))");

    // For people who look at them: the tests do not.
    private static async Task Screenshot(IPage page, string name)
    {
        if (Environment.GetEnvironmentVariable("LOWRANK_SCREENSHOTS") is not { } folder) return;
        await page.EvaluateAsync("document.querySelectorAll('details').forEach(details => details.open = false)");
        await page.ScreenshotAsync(new() { Path = Path.Combine(folder, name + ".png"), FullPage = true });
    }
}

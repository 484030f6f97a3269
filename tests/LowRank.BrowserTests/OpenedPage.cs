using Microsoft.Playwright;

namespace LowRank.BrowserTests;

/// <summary>A page, with everything that it asked for and complained of.</summary>
public sealed class OpenedPage : IAsyncDisposable
{
    private readonly IBrowserContext context;

    private OpenedPage(IBrowserContext context, IPage page) => (this.context, Page) = (context, page);

    public IPage Page { get; }

    /// <summary>Addresses that were asked for, the page's own included.</summary>
    public List<string> Requests { get; } = [];

    /// <summary>Messages of the console, errors and dialogs.</summary>
    public List<string> Complaints { get; } = [];

    public static async Task<OpenedPage> Of(IBrowserContext context, string address)
    {
        var opened = new OpenedPage(context, await context.NewPageAsync());
        IPage page = opened.Page;
        page.Request += (_, request) => opened.Requests.Add(request.Url);
        page.Console += (_, message) => opened.Complaints.Add(message.Text);
        page.PageError += (_, error) => opened.Complaints.Add(error);
        page.Dialog += async (_, dialog) =>
        {
            opened.Complaints.Add(dialog.Message);
            await dialog.DismissAsync();
        };
        await page.GotoAsync(address);
        return opened;
    }

    /// <summary>Presses Tab until an element has the focus.</summary>
    /// <param name="selector">The element.</param>
    public async Task TabTo(string selector)
    {
        for (int presses = 0; presses < 100; presses++)
        {
            await Page.Keyboard.PressAsync("Tab");
            if (await Page.EvaluateAsync<bool>("selector => document.activeElement.matches(selector)", selector))
                return;
        }
        Assert.Fail($"The Tab key does not reach {selector}.");
    }

    public ValueTask DisposeAsync() => context.DisposeAsync();
}

using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.AI;

namespace LowRank.Extensions.AI.Tests;

/// <summary>The samples, run as programs.</summary>
public sealed partial class SampleTests(ServedBase served)
{
    private const string Question = "Where is number 3?", Data = "data: ";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_chat_app_answers_over_HTTP()
    {
        string expected = (await served.Client("hotels").GetResponseAsync(
            Question, new ChatOptions { MaxOutputTokens = 80 }, Token)).Text;
        using Process app = Start("chat-app", "ChatApp",
            "--urls", "http://127.0.0.1:0", "--model", served.Folder, "--adapter", served["hotels"]);
        try
        {
            using var client = new HttpClient { BaseAddress = await Address(app), Timeout = CommandLine.Longest };
            Said[] talk = [new("user", Question)];
            using HttpResponseMessage answer = await client.PostAsJsonAsync("chat", talk, Token);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal(new Said("assistant", expected), await answer.Content.ReadFromJsonAsync<Said>(Token));
            using HttpResponseMessage stream = await client.PostAsJsonAsync("chat/stream", talk, Token);
            string[] words = [.. (await stream.Content.ReadAsStringAsync(Token)).Split('\n')
                .Where(line => line.StartsWith(Data, StringComparison.Ordinal)).Select(line => line[Data.Length..])];
            Assert.True(words.Length > 5);
            Assert.Equal(expected.ReplaceLineEndings(""), string.Concat(words));
            foreach (string wrong in (string[])["[]", "[{}]", "[null]", """[{"role": "user"}]""",
                """[{"role": "", "content": "a"}]""", """[{"content": "a"}]"""])
                foreach (string path in (string[])["chat", "chat/stream"])
                {
                    using var body = new StringContent(wrong, System.Text.Encoding.UTF8, "application/json");
                    using HttpResponseMessage refused = await client.PostAsync(path, body, Token);
                    string said = await refused.Content.ReadAsStringAsync(Token);
                    Assert.True(refused.StatusCode == HttpStatusCode.BadRequest, $"{path} {wrong}: {said}");
                    Assert.Contains("message", JsonDocument.Parse(said).RootElement.GetProperty("detail").GetString(),
                        StringComparison.Ordinal);
                }
            Said[] endless = [new("user", string.Concat(Enumerable.Repeat("a b ", 20_000)))];
            using HttpResponseMessage full = await client.PostAsJsonAsync("chat", endless, Token);
            Assert.Equal(HttpStatusCode.BadRequest, full.StatusCode);
            Assert.NotEmpty(JsonDocument.Parse(await full.Content.ReadAsStringAsync(Token)).RootElement
                .GetProperty("detail").GetString()!);
            Assert.Equal("Healthy", await client.GetStringAsync("health", Token));
        }
        finally
        {
            app.Kill(entireProcessTree: true);
        }
    }

    // Steps enough to run it whole, not to learn.
    [Fact]
    public void The_retrieval_sample_trains_both_adapters_and_answers_with_them()
    {
        using var folder = new TemporaryFolder();
        CommandResult result = CommandLine.RunProgram(Assembly("rag", "Rag"), CommandLine.Repository, "2",
            folder.Path).Succeeded();
        Match found = Found().Match(result.Output);
        Assert.True(found.Success, result.Output);
        foreach (string side in new[] { "base", "tuned" }) Assert.InRange(int.Parse(found.Groups[side].Value), 0, 100);
        foreach (string name in new[] { "search", "writer" })
            Assert.True(File.Exists(Path.Combine(folder[name], "adapter_model.safetensors")));
    }

    [Fact]
    public void The_page_says_how_long_the_chat_app_is()
    {
        int lines = File.ReadLines(Path.Combine(CommandLine.Repository, "samples/chat-app/Program.cs")).Count();
        Assert.Contains($"an ASP.NET program of {lines} lines", RepositoryFiles.Read("docs/extensions-ai.md"),
            StringComparison.Ordinal);
    }

    private static Process Start(string folder, string name, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Assembly(folder, name), .. arguments])
        {
            UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true,
            WorkingDirectory = CommandLine.Repository,
        };
        return Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start.");
    }

    // The program says it once it listens.
    private static async Task<Uri> Address(Process app)
    {
        while (await app.StandardOutput.ReadLineAsync(Token) is { } line)
            if (Listens().Match(line) is { Success: true } match) return new Uri(match.Groups["address"].Value + "/");
        throw new InvalidOperationException(await app.StandardError.ReadToEndAsync(Token));
    }

    private static string Assembly(string folder, string name) => Path.Combine(
        Path.GetDirectoryName(CommandLine.Built($"samples/{folder}"))!, $"LowRank.Samples.{name}.dll");

    [GeneratedRegex("Now listening on: (?<address>http://[0-9.:]+)", RegexOptions.ExplicitCapture)]
    private static partial Regex Listens();

    [GeneratedRegex(
        @"base: finds (?<base>\d+) of 100.*search: finds (?<tuned>\d+) of 100[^\n]*\n\nA guest: [^\n]*\n(?<text>.*)$",
        RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex Found();

    private sealed record Said(string Role, string Content);
}

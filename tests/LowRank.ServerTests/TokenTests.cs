using System.Text.Json;

namespace LowRank.ServerTests;

/// <summary>POST /tokenize and /detokenize.</summary>
[Collection(WriterFixture.Name)]
public sealed class TokenTests(WriterFixture fixture)
{
    private RunningServer Server => fixture.Server;

    [Fact]
    public async Task A_text_becomes_tokens_and_tokens_become_the_text()
    {
        const string Text = "Grüße 👋";
        Answer answer = (await Server.Post("/tokenize", new { prompt = Text, return_token_strs = true })).Good();
        int[] ids = Ids(answer);
        Assert.Equal(System.Text.Encoding.UTF8.GetByteCount(Text), ids.Length);
        Assert.Equal((ids.Length, TinyModels.Context), (answer.Json.GetProperty("count").GetInt32(),
            answer.Json.GetProperty("max_model_len").GetInt32()));
        Assert.Equal(ids.Length, answer.Json.GetProperty("token_strs").GetArrayLength());
        Answer back = (await Server.Post("/detokenize", new { tokens = ids })).Good();
        Assert.Equal((Text, Text),
            (back.Json.GetProperty("prompt").GetString(), back.Json.GetProperty("content").GetString()));
        Assert.Equal(ids, Ids((await Server.Post("/tokenize", new { content = Text, model = "golden" })).Good()));
    }

    [Fact]
    public async Task A_conversation_becomes_the_tokens_of_its_prompt()
    {
        object[] messages = [new { role = "user", content = "Hello" }];
        int[] ids = Ids((await Server.Post("/tokenize", new { messages })).Good());
        Assert.Equal(CompletionTests.Tokens("user:Hello"), ids[..10]);
        Answer chat = (await Server.Post("/v1/chat/completions", new { messages, max_tokens = 1 })).Good();
        Assert.Equal(ids.Length, chat.Json.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        Assert.True(Ids((await Server.Post("/tokenize", new { messages, add_generation_prompt = false })).Good()).Length
            < ids.Length);
    }

    [Fact]
    public async Task Pieces_are_texts_or_the_bytes_of_parts_of_characters()
    {
        JsonElement[] tokens = [.. (await Server.Post("/tokenize", new { content = "aü", with_pieces = true })).Good()
            .Json.GetProperty("tokens").EnumerateArray()];
        Assert.Equal("a", tokens[0].GetProperty("piece").GetString());
        Assert.Equal([0xC3], tokens[1].GetProperty("piece").EnumerateArray().Select(value => value.GetInt32()));
    }

    [Theory]
    [InlineData("/tokenize", "", "prompt")]
    [InlineData("/tokenize", "'prompt': 'a', 'content': 'a'", "prompt")]
    [InlineData("/tokenize", "'prompt': 1", "prompt")]
    [InlineData("/tokenize", "'prompt': 'a', 'mystery': 1", "mystery")]
    [InlineData("/detokenize", "", "tokens")]
    public async Task What_cannot_be_read_is_refused(string path, string body, string param) =>
        (await Server.Post(path, "{" + body.Replace('\'', '"') + "}")).Bad(400, param);

    private static int[] Ids(Answer answer) =>
        [.. answer.Json.GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32())];
}

using System.Text.Json.Nodes;
using LowRank.Jinja;

namespace LowRank.Data.Chat;

/// <summary>
/// A model's chat template (<c>chat_template.jinja</c>, or <c>chat_template</c> of <c>tokenizer_config.json</c>), whose
/// errors are reported as input errors. See <see cref="JinjaTemplate"/> for the language and its limits. </summary>
internal sealed class ChatTemplate
{
    private readonly JinjaTemplate template;

    private ChatTemplate(JinjaTemplate template) => this.template = template;

    /// <summary>ChatML, for models without a template: <see cref="JinjaTemplate.ChatMl"/>.</summary>
    public static ChatTemplate ChatMl { get; } = new(JinjaTemplate.ChatMl);

    /// <summary>The template's source, unchanged.</summary>
    public string Source => template.Source;

    /// <summary>Whether the template marks the assistant's words with <c>{% generation %}</c> blocks.</summary>
    public bool HasGenerationBlocks => template.HasGenerationBlocks;

    /// <summary>The names that the template reads: <see cref="JinjaTemplate.Names"/>.</summary>
    public IReadOnlySet<string> Names => template.Names;

    /// <summary>Parses a template.</summary>
    /// <param name="source">The template.</param>
    /// <param name="limits">The limits of a rendering; the defaults of <see cref="JinjaLimits"/> if null.</param>
    /// <exception cref="InputException">The template is not valid Jinja; the message names the construct and its
    /// line.</exception>
    public static ChatTemplate Parse(string source, JinjaLimits? limits = null)
    {
        try
        {
            return new ChatTemplate(JinjaTemplate.Parse(source, limits));
        }
        catch (TemplateException fault)
        {
            throw new InputException($"The chat template cannot be used: {fault.Message}.", fault);
        }
    }

    /// <summary>Renders a conversation.</summary>
    /// <param name="variables">
    /// Usually <c>messages</c>, <c>tools</c>, <c>documents</c>, <c>add_generation_prompt</c>, <c>bos_token</c>,
    /// <c>eos_token</c>.
    /// </param>
    /// <exception cref="InputException">The template refuses the conversation; the message names the line.</exception>
    public RenderedTemplate Render(JsonObject variables)
    {
        try
        {
            return template.Render(variables);
        }
        catch (TemplateException fault)
        {
            throw new InputException($"The chat template failed at {fault.Message}.", fault);
        }
    }
}
